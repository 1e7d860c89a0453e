"""The quotas of a holder as the jobs of one thread use them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from onqueue.quotas import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import RLock

    from onqueue.contracts import JobId
    from onqueue.quotas import Quota
    from onqueue.worker.cutting import ThreadCutter


class ManyAtOnce(Limits, Protocol):
    """Quotas that can be asked for several jobs in one trip."""

    def admit_all(self, asked: Sequence[tuple[Sequence[Quota], JobId, str]]) -> list[float | None]:
        """Do what `admit` does for each of them, in their order."""
        ...


@dataclass(slots=True, eq=False)
class _Question:
    quotas: Sequence[Quota]
    owner: JobId
    queue: str
    wait: float | None = None
    is_answered: bool = False


class Desk:
    """Where the threads of a worker ask: the first that is free to asks for all that wait."""

    def __init__(self, limits: ManyAtOnce, guard: RLock) -> None:
        """Use the limits of the shared consumer, each call under its guard."""
        self.limits = limits
        self.guard = guard
        self._waiting: deque[_Question] = deque()

    def admit(self, quotas: Sequence[Quota], owner: JobId, queue: str) -> float | None:
        """Use all quotas or none; as `Limits.admit`."""
        question = _Question(quotas, owner, queue)
        self._waiting.append(question)
        with self.guard:
            if not question.is_answered:
                self._ask(question)
        return question.wait

    def _ask(self, own: _Question) -> None:
        """Answer all that wait; where that fails each of them asks for itself."""
        asked = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            waits = self.limits.admit_all([(one.quotas, one.owner, one.queue) for one in asked])
        except BaseException:
            self._waiting.extendleft(one for one in reversed(asked) if one is not own)
            raise
        for one, wait in zip(asked, waits, strict=True):
            one.wait, one.is_answered = wait, True


class SharedLimits:
    """Makes each call under the guard of the shared consumer, and lets no cut come meanwhile."""

    def __init__(self, desk: Desk, cutter: ThreadCutter) -> None:
        """Stand in for the limits."""
        self._desk = desk
        self._limits = desk.limits
        self._guard = desk.guard
        self._cutter = cutter

    def admit(self, quotas: Sequence[Quota], owner: JobId, queue: str) -> float | None:
        """Use all quotas or none; None when the job may go on, else the seconds to wait."""
        with self._cutter.shielded():
            return self._desk.admit(quotas, owner, queue)

    def free(self, quotas: Sequence[Quota], owner: JobId) -> None:
        """Give the job's slots back."""
        with self._cutter.shielded(), self._guard:
            self._limits.free(quotas, owner)

    def free_at_end(self, quotas: Sequence[Quota], owner: JobId) -> None:
        """Give back the slots of a job whose run ends now, with the next trip of any thread."""
        with self._cutter.shielded():
            self._limits.free_at_end(quotas, owner)

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
