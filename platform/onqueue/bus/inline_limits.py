"""Quotas among the threads of this process, for jobs that run inside their dispatcher."""

from __future__ import annotations

from collections import defaultdict, deque
from threading import Lock
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onqueue.connections import QueueManager
    from onqueue.contracts import Clock, JobId
    from onqueue.quotas import Quota


class InlineLimits:
    """Counts in memory; what is shared with workers is counted by the broker, not here."""

    def __init__(self, clock: Clock) -> None:
        """Begin without any."""
        self._clock = clock
        self._guard = Lock()
        self._windows: dict[str, tuple[float, int]] = {}
        self._starts: dict[str, deque[float]] = {}
        self._slots: defaultdict[str, set[JobId]] = defaultdict(set)

    def admit(self, quotas: Sequence[Quota], owner: JobId, queue: str) -> float | None:
        """Use all quotas or none; None when the job may go on, else the seconds to wait."""
        del queue
        with self._guard:
            waits = [wait for quota in quotas if (wait := self._wait(quota, owner)) is not None]
            if waits:
                return max(waits)
            for quota in quotas:
                if quota.kind in {"rate", "moving"}:
                    self._count(quota)
                elif quota.kind == "slots":
                    self._slots[quota.key].add(owner)
        return None

    def free(self, quotas: Sequence[Quota], owner: JobId) -> None:
        """Give the job's slots back."""
        with self._guard:
            for quota in quotas:
                self._slots[quota.key].discard(owner)

    def free_at_end(self, quotas: Sequence[Quota], owner: JobId) -> None:
        """Do the same for a job whose run ends now."""
        self.free(quotas, owner)

    def take_each(self, quotas: Sequence[Quota]) -> list[float | None]:
        """Use each of many rates on its own; None for each that was used, else seconds to wait."""
        return [self.admit([quota], "", "") for quota in quotas]

    def hit(self, quota: Quota) -> None:
        """Count a fault, or a start that need not wait."""
        with self._guard:
            self._count(quota)

    def clear(self, quota: Quota) -> None:
        """Forget all faults."""
        with self._guard:
            self._windows.pop(quota.key, None)

    def _wait(self, quota: Quota, owner: JobId) -> float | None:
        if quota.kind == "slots":
            taken = self._slots[quota.key] - {owner}
            return float("inf") if len(taken) >= quota.most else None
        ends, hits = self._window(quota)
        return ends - self._clock.monotonic() if hits >= quota.most else None

    def _window(self, quota: Quota) -> tuple[float, int]:
        now = self._clock.monotonic()
        if quota.kind == "moving":
            starts = self._starts.get(quota.key, ())
            is_full = len(starts) >= quota.most and starts[-quota.most] + quota.span > now
            return (starts[-quota.most] + quota.span, quota.most) if is_full else (now, 0)
        ends, hits = self._windows.get(quota.key, (0.0, 0))
        return (ends, hits) if ends > now else (now + quota.span, 0)

    def _count(self, quota: Quota) -> None:
        if quota.kind == "moving":
            starts = self._starts.setdefault(quota.key, deque(maxlen=quota.most))
            starts.append(self._clock.monotonic())
            return
        ends, hits = self._window(quota)
        self._windows[quota.key] = (ends, hits + 1)


_limits: WeakKeyDictionary[QueueManager, InlineLimits] = WeakKeyDictionary()


def inline_limits(manager: QueueManager) -> InlineLimits:
    """Return the limits that all inline runs of a manager share."""
    return _limits.setdefault(manager, InlineLimits(manager.clock))
