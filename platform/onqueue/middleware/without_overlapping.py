"""One job of a key at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from onqueue.limits.lock import Lock

if TYPE_CHECKING:
    from onqueue.job import Job


class WithoutOverlapping(Lock):
    """Runs the job only while no other job of its class and key runs.

    A job that must wait is parked in order and woken when its turn comes; that spends no
    attempt. The lock ends with the lease of the worker that took it, at the latest.
    """

    def __init__(self, key: object = "") -> None:
        """Guard one key; without one, the whole job class."""
        super().__init__(key)
        self._key = str(key)
        self._is_shared = False

    def shared(self) -> Self:
        """Let the key hold across job classes."""
        self._is_shared = True
        return self

    def lock_name(self, job: Job) -> str:
        """Return the lock's name for a job."""
        scope = "" if self._is_shared else f"{job.name}:"
        return f"overlap:{scope}{self._key}"
