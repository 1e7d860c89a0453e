"""Brings a failed job back to its queue: the same job, all its attempts before it again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from onqueue import events
from onqueue.clock import SystemClock
from onqueue.contracts import Message
from onqueue.errors import RetryRefused, UniqueJobExists
from onqueue.pushing import push_again, tie_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from onqueue.connections import QueueManager
    from onqueue.contracts import Clock, JobId, Queue
    from onqueue.stores import FailedJob, PayloadEdit

RETRY_WINDOW = 30 * 86_400.0
"""Seconds for which a broker refuses the repeat of a retry: longer than a crash goes unnoticed."""


class Connections(Protocol):
    """What a `QueueManager` is to a retry."""

    def connection(self, name: str) -> Queue:
        """Return the connection, or raise `UnknownConnection`."""
        ...


@runtime_checkable
class Revives(Protocol):
    """An outbox whose row of a failed durable job can be opened again."""

    def revive(self, job_id: JobId) -> bool:
        """Return whether there was such a row."""
        ...

    def mark_outcome(self, job_id: JobId, outcome: Literal["done", "failed"]) -> None:
        """Close the row again."""
        ...


def retry_push(
    manager: Connections, outbox: Revives | None = None, clock: Clock | None = None
) -> Callable[[FailedJob, str], bool]:
    """Return what `FailedJobs.retry` wants: a push to the original connection and queue.

    A durable job's row is opened before the push, so that the job is guarded again from then on.
    The push raises `RetryRefused` for a unique job when another one has its lock by now.
    """
    now: Clock = clock or SystemClock()

    def push(failed: FailedJob, token: str) -> bool:
        queue = manager.connection(failed.connection)
        if outbox is not None:
            outbox.revive(failed.id)
        if events.job_retry_requested.receivers:
            events.tell(events.job_retry_requested, events.JobRetryRequested(failed))
        payload = renewed(failed.payload, now.time())
        message = Message(
            failed.id, failed.queue, payload, once=RETRY_WINDOW, token=token, tie=tie_in(payload)
        )
        try:
            return push_again(queue, message)
        except UniqueJobExists as error:
            if outbox is not None:
                outbox.mark_outcome(failed.id, "failed")
            raise RetryRefused(failed.id, str(error)) from error

    return push


def retry_failed(manager: QueueManager, job_id: JobId, edit: PayloadEdit | None = None) -> bool:
    """Bring one job of the manager's failed store back to its queue; False when it is not there.

    With `edit` its payload is changed first. A crash anywhere in here loses and doubles nothing: do
    it again. Raises `RetryRefused` when the queue does not take the job now, `EditConflict` when
    its payload is not the one that was to be changed, `UnknownConnection` when the job's own is no
    more; it stays as it was.
    """
    found = manager.failed.find(job_id)
    if found is None:
        return False
    manager.config(found.connection)
    given: object = manager.outbox
    outbox = given if isinstance(given, Revives) else None
    return manager.failed.retry(job_id, retry_push(manager, outbox, manager.clock), edit)


def renewed(payload: bytes, now: float) -> bytes:
    """Return the payload as if dispatched now (epoch seconds).

    What counts from the dispatch (`expires_in`) counts from now, and `retry_until` moves on by
    the same span, so a retry has as much time as the dispatch had. A payload that cannot be read
    is returned as it is: whoever runs it says what is wrong with it.
    """
    try:
        envelope: Any = json.loads(payload)
        at, options = envelope["at"], envelope.get("o", {})
        moved = int(now * 1000) - at
        envelope["at"] = at + moved
        if options.get("retry_until") is not None:
            options["retry_until"] += moved
    except (ValueError, TypeError, KeyError, AttributeError):
        return payload
    return json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode()
