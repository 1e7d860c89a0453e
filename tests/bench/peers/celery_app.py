"""Celery: options `acks_late` (safe, the job is acknowledged after it ran) and `prefetch`."""

from __future__ import annotations

from celery import Celery

from bench.given import read_given

given = read_given()
ledger = given.open_ledger()
app = Celery("bench", broker=f"redis+socket://{given.socket}")
app.conf.update(
    task_ignore_result=True,
    task_store_errors_even_if_ignored=False,
    task_acks_late=given.options.get("acks_late", False),
    worker_prefetch_multiplier=given.options.get("prefetch", 4),
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    broker_pool_limit=1,
)


def _noop(number: int) -> None:
    ledger.note(number)


noop = app.task(_noop, name="noop")


def fill(first: int, last: int) -> None:
    """Enqueue the jobs first…last-1."""
    with app.producer_pool.acquire(block=True) as producer:
        for number in range(first, last):
            noop.apply_async((number,), producer=producer)


def send(number: int) -> None:
    """Enqueue one job."""
    noop.delay(number)
