"""Counts the members of batches that a database keeps: before their broker forgets them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onqueue.worker.decision import Done

if TYPE_CHECKING:
    from onqueue.connections import QueueManager
    from onqueue.plans import ChainEdit
    from onqueue.worker.decision import Decision
    from onqueue.worker.recipes import Attempt


class Counting:
    """What a worker asks of the store of batches, and tells it."""

    def __init__(self, manager: QueueManager, connection: str) -> None:
        """Count for the jobs of one connection."""
        kept = manager.batches
        self._store = kept.of(manager, connection) if kept is not None else None

    def verdict(self, attempt: Attempt) -> Decision | None:
        """Return what becomes of a member unrun: it ends when its batch was cancelled."""
        tie, store = attempt.envelope.tie, self._store
        if store is None or tie is None or not tie.batch:
            return None
        attempt.is_counted = True
        is_cancelled = store.is_cancelled(tie.batch, attempt.reserved.id)
        return Done("cancelled") if is_cancelled else None

    def count(self, attempt: Attempt, outcome: str, edit: ChainEdit | None) -> None:
        """Write down how a member ended."""
        tie, store = attempt.envelope.tie, self._store
        if store is not None and tie is not None and tie.batch:
            store.settle(tie.batch, attempt.reserved.id, outcome, edit)
