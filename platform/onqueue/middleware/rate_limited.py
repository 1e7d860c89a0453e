"""A named limiter around `handle`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onqueue.limits.gate import Gate
from onqueue.limits.limiters import RateLimiter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onqueue.job import Job
    from onqueue.quotas import Quota


class RateLimited(Gate):
    """Runs the job when the limiter of that name lets it through.

    All limits of the limiter are used at once or not at all. A job that is turned away waits
    parked, in order, and is woken when its turn comes; that spends no attempt.
    """

    def __init__(self, name: str) -> None:
        """Ask the limiter of this name, looked up when a job runs."""
        self._name = name

    def quotas(self, job: Job) -> Sequence[Quota]:
        """Return what the limiter says for the job; raises `UnknownLimiter`."""
        return RateLimiter.quotas(self._name, job)
