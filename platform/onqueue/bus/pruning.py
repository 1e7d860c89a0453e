"""Forgets old batches: by hand, by cron or by a schedule."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from onqueue.bus.stores import keeping_batches, store_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from onqueue.connections import QueueManager
    from onqueue.plans import BatchState

PAGE = 500


@dataclass(frozen=True, slots=True)
class Age:
    """From when on batches are old, in hours since they ended (`hours`) or were made (the others).

    None: unfinished or cancelled ones never are.
    """

    hours: float
    unfinished: float | None = None
    cancelled: float | None = None

    def is_old(self, state: BatchState, now: datetime) -> bool:
        """Tell whether a batch is."""
        if state.finished_at is not None and state.finished_at < _before(now, self.hours):
            return True
        if state.cancelled_at is not None and _made_before(state, now, self.cancelled):
            return True
        return state.finished_at is None and _made_before(state, now, self.unfinished)


def forget_old_batches(manager: QueueManager, age: Age, connection: str | None = None) -> int:
    """Forget the old batches of one connection or (None) of all, not their jobs; return how many.

    Raises `UnknownConnection`, and `UnsupportedByDriver` for a connection without batches.
    """
    now, gone = manager.clock.now(), 0
    names = [manager.config(connection).name] if connection else keeping_batches(manager)
    for name in names:
        old = [state.id for state in _every(manager, name) if age.is_old(state, now)]
        gone += sum(map(store_of(manager, name).forget_batch, old))
    return gone


def _before(now: datetime, hours: float) -> datetime:
    return now - timedelta(hours=hours)


def _made_before(state: BatchState, now: datetime, hours: float | None) -> bool:
    return hours is not None and state.created_at < _before(now, hours)


def _every(manager: QueueManager, connection: str) -> Iterator[BatchState]:
    store = store_of(manager, connection)
    page = store.batches(limit=PAGE)
    while page:
        yield from page
        page = store.batches(after=page[-1].id, limit=PAGE)
