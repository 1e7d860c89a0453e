"""A log line for each thing that happens to jobs, batches and workers, with its fields beside it.

The message is the event's name; what belongs to it stands in the record's attributes, for a
formatter that writes JSON. Arguments of jobs are never logged.
"""

from __future__ import annotations

import logging
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from onqueue import events

if TYPE_CHECKING:
    from collections.abc import Callable

    from blinker import NamedSignal

LEVELS: Final[tuple[tuple[NamedSignal, int], ...]] = (
    (events.job_queued, logging.DEBUG),
    (events.job_unique_skipped, logging.INFO),
    (events.job_processing, logging.DEBUG),
    (events.job_processed, logging.INFO),
    (events.job_released, logging.INFO),
    (events.job_failed, logging.ERROR),
    (events.job_timed_out, logging.WARNING),
    (events.job_lease_lost, logging.WARNING),
    (events.job_retry_requested, logging.INFO),
    (events.batch_dispatched, logging.INFO),
    (events.batch_cancelled, logging.INFO),
    (events.batch_finished, logging.INFO),
    (events.worker_starting, logging.INFO),
    (events.worker_stopping, logging.INFO),
)
"""Which signals are logged, and as how grave."""

_CONTEXT: Final = "context"
_FAILED: Final = "failed"
_RENAMED: Final = {"name": "batch_name"}
"""Names that a log record has already, and what the event's field is called instead."""


def log_events(logger: logging.Logger | None = None) -> Callable[[], None]:
    """Log every event from now on; return what ends it. The logger is `onqueue.log` by default."""
    target = logger or logging.getLogger("onqueue.log")
    receivers = [(signal, _receiver(signal, level, target)) for signal, level in LEVELS]
    for signal, receiver in receivers:
        signal.connect(receiver, weak=False)

    def stop() -> None:
        for signal, receiver in receivers:
            signal.disconnect(receiver)

    return stop


def _receiver(signal: NamedSignal, level: int, target: logging.Logger) -> Callable[[object], None]:
    name = signal.name

    def write(event: object) -> None:
        if target.isEnabledFor(level):
            target.log(level, name, extra=described(event))

    return write


def described(event: Any) -> dict[str, Any]:
    """Return an event's fields as a log record may have them.

    A job is told by its name, an error by its type and text, the context by its parts.
    """
    told: dict[str, Any] = {}
    for entry in fields(event):
        value = getattr(event, entry.name)
        if entry.name == _CONTEXT:
            told |= {f"context_{key}": text for key, text in value.items()}
        elif entry.name == _FAILED:
            told |= {"job": value.job, "job_id": value.id, "queue": value.queue}
        elif isinstance(value, BaseException):
            told |= {"error_type": type(value).__qualname__, "error": str(value)}
        elif entry.name == "job" and not isinstance(value, str):
            told["job"] = value.name
        elif value is not None:
            told[_RENAMED.get(entry.name, entry.name)] = value
    return told
