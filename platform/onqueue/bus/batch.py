"""Batches: jobs in any order that are counted together, and what happens when they have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from onqueue import events
from onqueue.bus.after_response import when_answered
from onqueue.bus.callbacks import callback_job
from onqueue.bus.chain import Chain, Heard, checked_queue
from onqueue.bus.dispatcher import current_dispatcher
from onqueue.bus.functions import as_job
from onqueue.bus.planning import BatchSketch, ChainSketch, listed, placed
from onqueue.bus.stores import BatchStore, find_state, store_of
from onqueue.connections import current_manager
from onqueue.errors import BatchFinished
from onqueue.job_context import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from typing import Self

    from onqueue.contracts import JobId
    from onqueue.job import Job
    from onqueue.plans import BatchId, BatchState, CallbackKind

Member: TypeAlias = (
    "Job | Chain | PendingBatch | Callable[..., object] | list[Any] | tuple[Any, ...]"
)
"""A list is a chain, a function becomes a job, a batch inside a batch counts as one member."""


class PendingBatch:
    """A batch that is not dispatched yet: `batch([A(), [B(), C()]]).then(f).dispatch()`."""

    def __init__(self, members: Iterable[Member]) -> None:
        """Raise `NotBatchable` with the place of what cannot be a member."""
        self.sketch = BatchSketch(sketches_of(listed("batch", members)))

    def add(self, members: Iterable[Member]) -> Self:
        """Add members before the batch is dispatched."""
        first = len(self.sketch.members) + 1
        self.sketch.members += sketches_of(listed("add", members), first)
        return self

    def name(self, name: str) -> Self:
        """Choose the name by which people know the batch."""
        self.sketch.name = name
        return self

    def on_connection(self, connection: str) -> Self:
        """Choose the connection of all members."""
        self.sketch.connection = connection
        return self

    def on_queue(self, queue: str) -> Self:
        """Choose the queue of the members that name none."""
        self.sketch.queue = checked_queue(queue)
        return self

    def allow_failures(self, allow: bool = True) -> Self:  # noqa: FBT001, FBT002 - reads well
        """Let the batch go on when a member fails; otherwise the first failure cancels it."""
        self.sketch.allow_failures = allow
        return self

    def before(self, callback: Heard) -> Self:
        """Run this when the batch is stored and before its members are waited for."""
        return self._hear("before", callback)

    def progress(self, callback: Heard) -> Self:
        """Run this for each member that ended without stopping the batch."""
        return self._hear("progress", callback)

    def then(self, callback: Heard) -> Self:
        """Run this once when the batch ended well: not cancelled, no failures but allowed ones."""
        return self._hear("then", callback)

    def catch(self, callback: Heard) -> Self:
        """Run this at the first failure; a function is called with the batch and the error."""
        return self._hear("catch", callback)

    def finally_(self, callback: Heard) -> Self:
        """Run this once when the batch has ended, however."""
        return self._hear("finally", callback)

    def after_commit(self) -> Self:
        """Hold the batch back until the open transaction is committed."""
        self.sketch.waits = True
        return self

    def before_commit(self) -> Self:
        """Start the batch at once, whatever transaction is open."""
        self.sketch.waits = False
        return self

    def dispatch(self) -> Batch:
        """Start the batch, all of it or nothing; raises what the dispatch of a member raises."""
        return Batch(*current_dispatcher().dispatch_batch(self.sketch))

    def dispatch_if(self, condition: object) -> Batch | None:
        """Start the batch when the condition holds; None when it does not."""
        return self.dispatch() if condition else None

    def dispatch_unless(self, condition: object) -> Batch | None:
        """Start the batch unless the condition holds; None when it does."""
        return None if condition else self.dispatch()

    def dispatch_after_response(self) -> None:
        """Start the batch once the response of the present request is sent; outside of one, now."""
        when_answered("batch", self.dispatch)

    def _hear(self, kind: CallbackKind, callback: Heard) -> Self:
        self.sketch.callbacks.setdefault(kind, []).append(callback_job(kind, callback))
        return self


class Batch:
    """A batch as it stood when it was looked at; `fresh()` looks again."""

    def __init__(self, connection: str, state: BatchState) -> None:
        """Know where the batch lives and how it stood."""
        self.connection = connection
        self.state = state

    def __repr__(self) -> str:
        """Return what tells it from others."""
        return f"Batch({self.id!r}, name={self.name!r}, {self.processed} of {self.total})"

    # ---- how it stood ----

    @property
    def id(self) -> BatchId:
        """Its identity."""
        return self.state.id

    @property
    def name(self) -> str:
        """What people call it, "" without a name."""
        return self.state.name

    @property
    def total(self) -> int:
        """How many jobs it has; each link of a chain is one."""
        return self.state.total

    @property
    def pending(self) -> int:
        """How many of them have not ended."""
        return self.state.pending

    @property
    def processed(self) -> int:
        """How many of them have ended, however."""
        return self.state.processed

    @property
    def failed(self) -> int:
        """How many have failed and were not retried."""
        return self.state.failed

    @property
    def finished(self) -> bool:
        """Whether all of them have ended."""
        return self.state.finished_at is not None

    @property
    def cancelled(self) -> bool:
        """Whether it was cancelled, by somebody or by a failure."""
        return self.state.cancelled_at is not None

    @property
    def has_failures(self) -> bool:
        """Whether a member has failed and was not retried."""
        return self.state.failed > 0

    @property
    def allows_failures(self) -> bool:
        """Whether it goes on when a member fails."""
        return self.state.allow_failures

    @property
    def created_at(self) -> datetime:
        """When it was dispatched."""
        return self.state.created_at

    @property
    def cancelled_at(self) -> datetime | None:
        """When it was cancelled."""
        return self.state.cancelled_at

    @property
    def finished_at(self) -> datetime | None:
        """When the last of its jobs ended."""
        return self.state.finished_at

    def progress(self) -> int:
        """Return the percentage of jobs that have ended; 100 only when the batch has."""
        return self.state.progress

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON has it; instants are ISO 8601."""
        state = self.state
        counts = ("total", "pending", "processed", "succeeded", "failed", "skipped", "broken")
        return {
            "id": state.id,
            "name": state.name,
            "connection": self.connection,
            **{count: getattr(state, count) for count in counts},
            "cancelled": state.cancelled,
            "progress": state.progress,
            "allow_failures": state.allow_failures,
            "created_at": state.created_at.isoformat(),
            "cancelled_at": _text(state.cancelled_at),
            "finished_at": _text(state.finished_at),
        }

    # ---- as it stands now ----

    def fresh(self) -> Batch:
        """Return the batch as it stands now; raises `BatchFinished` when nobody knows it."""
        state = self._store().batch(self.id)
        if state is None:
            raise BatchFinished(self.id)
        return Batch(self.connection, state)

    def add(self, members: Iterable[Member]) -> int:
        """Add members and return how many jobs they are; raises `BatchFinished` when it is over.

        All or nothing. From inside a member the batch is never over.
        """
        sketches = sketches_of(listed("add", members))
        return current_dispatcher().add_to_batch(self.connection, self.state, sketches)

    def cancel(self) -> bool:
        """Let the members that wait end unrun; False when it had ended or was cancelled before."""
        is_cancelled = self._store().cancel_batch(self.id)
        run = running.get()
        if run is not None:
            run.has_cancelled = True
        if is_cancelled and events.batch_cancelled.receivers:
            event = events.BatchCancelled(self.connection, self.id, self.name)
            events.tell(events.batch_cancelled, event)
        return is_cancelled

    def delete(self) -> bool:
        """Forget the batch, not its jobs; False when nobody knew it."""
        return self._store().forget_batch(self.id)

    def failed_ids(self) -> list[JobId]:
        """Return the members that have failed and were not retried."""
        return self._store().failed_members(self.id)

    def _store(self) -> BatchStore:
        return store_of(current_manager(), self.connection, self.id)


def batch(members: Iterable[Member]) -> PendingBatch:
    """Return a batch of jobs, functions and chains (lists), to be dispatched."""
    return PendingBatch(members)


def find_batch(batch_id: BatchId, connection: str | None = None) -> Batch | None:
    """Return a batch as it stands, None when nobody knows it.

    Without a connection all are asked, the default one first.
    """
    found = find_state(current_manager(), batch_id, connection)
    return Batch(*found) if found is not None else None


def sketches_of(members: Iterable[Member], first: int = 1) -> list[Job | ChainSketch]:
    """Return the members as a planner takes them; raises with the place of what is none."""
    found: list[Job | ChainSketch] = []
    for number, member in enumerate(members, first):
        with placed(f"member {number} of the batch"):
            found.append(_member(member))
    return found


def _member(member: Any) -> Job | ChainSketch:
    if isinstance(member, Chain):
        return member.sketch
    if isinstance(member, PendingBatch):
        return ChainSketch([member.sketch])
    if isinstance(member, list | tuple):
        return Chain(member).sketch
    return as_job(member)


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()
