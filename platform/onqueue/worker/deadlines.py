"""The deadlines of running jobs: first a word, then the axe. Pure; the parent acts on it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onqueue.worker.shared import Running

GRACE = 5.0
"""Seconds between the exception in the job and the kill of its process, at most."""

LONG_RUN = 0.1
"""Seconds after which a job counts as long, so that what waits behind it goes back."""

LOOK = 0.05
"""Seconds between two looks at a child that runs short jobs."""


class Due(Enum):
    """What a deadline asks for."""

    NOTHING = "nothing"
    SOFT = "raise in the job"
    HARD = "kill the child"


@dataclass(slots=True)
class Deadlines:
    """Follows one child's jobs; remembers which one was told already."""

    grace: float = GRACE
    _told: int = 0
    _told_at: float = 0.0

    def due(self, job: Running | None, now: float) -> Due:
        """Return what is due for the running job; SOFT comes once, HARD until it is gone."""
        if job is None or job.timeout <= 0:
            return Due.NOTHING
        over = now - job.started - job.timeout
        if over < 0:
            return Due.NOTHING
        if self._told != job.number:
            self._told, self._told_at = job.number, now
            return Due.SOFT
        return Due.HARD if now >= self._told_at + self._grace_of(job) else Due.NOTHING

    def was_told(self, job: Running) -> bool:
        """Tell whether this job knows that it is past its timeout."""
        return self._told == job.number

    def next_look(self, job: Running | None, now: float) -> float | None:
        """Return the seconds until a look is needed, None when a message will come first."""
        if job is None or now - job.started < LONG_RUN:
            return LOOK
        if job.timeout <= 0:
            return None
        if self._told == job.number:
            return max(0.0, self._told_at + self._grace_of(job) - now)
        return max(0.0, job.started + job.timeout - now)

    def _grace_of(self, job: Running) -> float:
        """Return the grace: short jobs get no more than their own timeout again."""
        return min(self.grace, max(job.timeout, LONG_RUN))
