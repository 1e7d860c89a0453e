"""The quotas of a holder as the jobs of one thread use them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import RLock

    from onqueue.contracts import JobId
    from onqueue.quotas import Limits, Quota
    from onqueue.worker.cutting import ThreadCutter


class SharedLimits:
    """Makes each call under the guard of the shared consumer, and lets no cut come meanwhile."""

    def __init__(self, limits: Limits, guard: RLock, cutter: ThreadCutter) -> None:
        """Stand in for the limits."""
        self._limits = limits
        self._guard = guard
        self._cutter = cutter

    def admit(self, quotas: Sequence[Quota], owner: JobId, queue: str) -> float | None:
        """Use all quotas or none; None when the job may go on, else the seconds to wait."""
        with self._cutter.shielded(), self._guard:
            return self._limits.admit(quotas, owner, queue)

    def free(self, quotas: Sequence[Quota], owner: JobId) -> None:
        """Give the job's slots back."""
        with self._cutter.shielded(), self._guard:
            self._limits.free(quotas, owner)

    def take_each(self, quotas: Sequence[Quota]) -> list[float | None]:
        """Use each of many rates on its own; None for each that was used, else seconds to wait."""
        with self._cutter.shielded(), self._guard:
            return self._limits.take_each(quotas)

    def hit(self, quota: Quota) -> None:
        """Count a fault, or a start that need not wait."""
        with self._cutter.shielded(), self._guard:
            self._limits.hit(quota)

    def clear(self, quota: Quota) -> None:
        """Forget all faults."""
        with self._cutter.shielded(), self._guard:
            self._limits.clear(quota)
