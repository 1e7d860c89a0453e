"""Lets a worker tell of the end of a batch that another process dispatched."""

from __future__ import annotations

from onqueue import events
from onqueue.bus.stores import find_state
from onqueue.connections import current_manager
from onqueue.job import Job

BATCH = "onqueue.batch"
CHAIN = "onqueue.chain"
HOME = "onqueue.home"
"""Under which names a callback's context says what it is about, and on which connection."""


class Announce(Job):
    """Tells, in the worker that runs it, that a batch was cancelled or has ended."""

    name = "onqueue.Announce"
    tries = 5
    moment: str

    def handle(self) -> None:
        """Send the event; a batch that is forgotten by now is not told of."""
        about = self.running().context
        found = find_state(current_manager(), about[BATCH], about.get(HOME))
        if found is None:
            return
        connection, state = found
        head = (connection, state.id, state.name)
        if self.moment == "cancelled":
            events.tell(events.batch_cancelled, events.BatchCancelled(*head))
            return
        is_cancelled = state.cancelled_at is not None
        ended = events.BatchFinished(*head, state.total, state.failed, is_cancelled)
        events.tell(events.batch_finished, ended)
