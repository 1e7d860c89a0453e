"""RQ: `rq worker` on one queue, results thrown away."""

from __future__ import annotations

from redis import Redis
from rq import Queue

from bench.given import read_given

given = read_given()
ledger = given.open_ledger()
_queue = Queue("default", connection=Redis.from_url(given.url))
_CHUNK = 500


def noop(number: int) -> None:
    """Run a job that does nothing."""
    ledger.note(number)


def fill(first: int, last: int) -> None:
    """Enqueue the jobs first…last-1."""
    for start in range(first, last, _CHUNK):
        numbers = range(start, min(start + _CHUNK, last))
        jobs = [Queue.prepare_data(noop, (number,), result_ttl=0) for number in numbers]
        _queue.enqueue_many(jobs)


def send(number: int) -> None:
    """Enqueue one job."""
    _queue.enqueue(noop, number, result_ttl=0)
