"""This project's queue, as an application would use it alone; option `connection` names another."""

from __future__ import annotations

import onqueue
from bench.given import read_given

given = read_given()
ledger = given.open_ledger()
_name = given.options.get("connection", "redis")
queues = onqueue.QueueManager(
    _name,
    {_name: {"driver": "redis", "url": given.url, "retry_after": 90}},
    failed={"driver": "null"},
)
onqueue.use(queues)


class Noop(onqueue.Job):
    """Does nothing; leased, fenced, its start counted, as every job."""

    number: int

    def handle(self) -> None:
        """Note that it ran."""
        ledger.note(self.number)


def fill(first: int, last: int) -> None:
    """Dispatch the jobs first…last-1."""
    onqueue.dispatch_many(Noop(number) for number in range(first, last))


def send(number: int) -> None:
    """Dispatch one job."""
    Noop(number).dispatch()


def send_later(number: int, seconds: float) -> None:
    """Dispatch one job for later."""
    Noop(number).delay(seconds=seconds).dispatch()
