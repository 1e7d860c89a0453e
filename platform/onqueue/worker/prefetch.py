"""How many jobs a trip should bring: about so many as fill a fiftieth of a second."""

from __future__ import annotations

from typing import Final

TRIP: Final = 0.02
"""Seconds of work that one trip to the broker should bring."""

SLOW: Final = 0.005
"""Seconds from which a job counts as slow: before it starts, what is done gets confirmed."""

SHORT: Final = 0.05
"""Seconds below which each of several threads may have a job held for it besides its own.

What is done gets confirmed by another thread's trip, so only before jobs that are not short.
"""


class Prefetch:
    """Grows by doubling while jobs are short, and shrinks at once when they are not."""

    def __init__(self, most: int) -> None:
        """Begin with one job a trip, and never want more than `most`."""
        self._most = most
        self._seconds_a_job = TRIP

    def want(self, left: int | None = None) -> int:
        """Return how many jobs to ask for, at most `left` where that is given."""
        fitting = max(1, min(self._most, int(TRIP / self._seconds_a_job)))
        return fitting if left is None else min(fitting, left)

    @property
    def is_short(self) -> bool:
        """Whether jobs end so soon that one more for each thread holds up nobody for long."""
        return self._most > 1 and self._seconds_a_job < SHORT

    def learn(self, jobs: int, seconds: float) -> None:
        """Take in how long the jobs of one trip took in all."""
        if jobs:
            self._seconds_a_job = max(seconds / jobs, self._seconds_a_job / 2, 1e-9)
