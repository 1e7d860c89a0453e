"""Dramatiq: option `middleware` "default" or "no", which is faster and knows no retries."""

from __future__ import annotations

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from bench.given import read_given

given = read_given()
ledger = given.open_ledger()
_bare = given.options.get("middleware") == "no"
broker = RedisBroker(url=given.url, middleware=[] if _bare else None)
dramatiq.set_broker(broker)


def _noop(number: int) -> None:
    ledger.note(number)


noop = dramatiq.actor(_noop, actor_name="noop", broker=broker)


def fill(first: int, last: int) -> None:
    """Enqueue the jobs first…last-1."""
    for number in range(first, last):
        broker.enqueue(noop.message(number))


def send(number: int) -> None:
    """Enqueue one job."""
    noop.send(number)
