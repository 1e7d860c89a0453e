"""What a worker process knows of pauses: it tells each change once, and lets jobs wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onqueue import events
from onqueue.quotas import Pause, Quota, pause_key
from onqueue.worker.decision import Park

if TYPE_CHECKING:
    from onqueue.worker.recipes import Attempt


class KnownPauses:
    """The pauses of a connection as of the last turn."""

    __slots__ = ("_connection", "known", "waiting")

    def __init__(self, connection: str) -> None:
        """Know of none yet; what is paused when a worker starts is no change."""
        self._connection = connection
        self.known: frozenset[Pause] | None = None
        self.waiting: frozenset[str] = frozenset()
        """The keys of classes and tenants whose jobs are to wait."""

    def learn(self, pauses: frozenset[Pause]) -> None:
        """Take in what is paused by now, and tell what began and what is over."""
        before, self.known = self.known, pauses
        self.waiting = frozenset(
            pause_key(pause.kind, pause.name) for pause in pauses if pause.kind in {"job", "tenant"}
        )
        if before is not None:
            self._tell(before, pauses)

    def _tell(self, before: frozenset[Pause], now: frozenset[Pause]) -> None:
        begun, over = now - before, before - now
        kept = {(pause.kind, pause.name) for pause in begun}
        for pause in sorted(over, key=_order):
            if (pause.kind, pause.name) not in kept:
                event = events.WorkResumed(self._connection, pause.kind, pause.name)
                events.tell(events.work_resumed, event)
        for pause in sorted(begun, key=_order):
            paused = events.WorkPaused(
                self._connection, pause.kind, pause.name, pause.reason, pause.until
            )
            events.tell(events.work_paused, paused)

    def verdict(self, attempt: Attempt) -> Park | None:
        """Return that a job of a paused class or tenant waits, None when it is to run."""
        keys = [pause_key("job", attempt.envelope.job)]
        if tenant := attempt.envelope.context.get("tenant"):
            keys.append(pause_key("tenant", tenant))
        quotas = tuple(Quota("pause", key) for key in keys if key in self.waiting)
        return Park("", quotas=quotas) if quotas else None


def _order(pause: Pause) -> tuple[str, str]:
    return (pause.kind, pause.name)
