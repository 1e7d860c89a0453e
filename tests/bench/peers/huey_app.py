"""Huey on a Redis list, results off. What it takes off the list is gone when it dies."""

from __future__ import annotations

from huey import RedisHuey

from bench.given import read_given

given = read_given()
ledger = given.open_ledger()
huey = RedisHuey("bench", url=given.url, results=False)


def _noop(number: int) -> None:
    ledger.note(number)


noop = huey.task(name="noop")(_noop)


def fill(first: int, last: int) -> None:
    """Enqueue the jobs first…last-1."""
    for number in range(first, last):
        noop(number)


def send(number: int) -> None:
    """Enqueue one job."""
    noop(number)
