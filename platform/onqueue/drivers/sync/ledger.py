"""The members of one batch with what became of each: its figures only move when an entry does."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

from onqueue.plans import BatchState, ChainPlan

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from onqueue.contracts import JobId, Message
    from onqueue.plans import BatchPlan, CallbackKind, Tie

Cause = Literal["", "user", "failure"]
_PENDING = "pending"


class Ledger:
    """One batch. Members that wait behind others in a chain are pending like all others."""

    def __init__(self, plan: BatchPlan, tie: Tie) -> None:
        """Begin without members; `tie` is the batch's own place in a chain or another batch."""
        self.plan = plan
        self.tie = tie
        self.cause: Cause = ""
        self.cancelled_at: datetime | None = None
        self.finished_at: datetime | None = None
        self.told: set[CallbackKind] = set()
        self._entries: dict[str, str] = {}
        self._counts: Counter[str] = Counter()

    def enter(self, members: Sequence[Message | ChainPlan]) -> int:
        """Write members down as pending; return how many jobs."""
        before = len(self._entries)
        for member in members:
            links = member.links if isinstance(member, ChainPlan) else [member]
            self.expect(link.id for link in links)
        return len(self._entries) - before

    def expect(self, ids: Iterable[str]) -> None:
        """Write jobs down as pending, unless they are known."""
        for job_id in ids:
            if job_id not in self._entries:
                self._write(job_id, _PENDING)

    def reenter(self, job_id: str) -> None:
        """Let a failed member be pending again, as it is retried."""
        if self._entries.get(job_id) == "failed":
            self._write(job_id, _PENDING)
            self.finished_at = None

    def count(self, job_id: str, outcome: str) -> bool:
        """Write down how a member ended; False when that is known already."""
        if self._entries.get(job_id) != _PENDING:
            return False
        self._write(job_id, "skipped" if outcome == "expired" else outcome)
        return True

    def cut(self, ids: Iterable[str], sign: int) -> None:
        """Let links that wait be broken (1), or pending again (-1)."""
        for job_id in ids:
            self._write(job_id, "broken" if sign > 0 else _PENDING)

    def cancel(self, cause: Cause, now: datetime) -> bool:
        """Cancel the batch; False when it has ended or was cancelled before."""
        if self.cancelled_at is not None or self.finished_at is not None:
            return False
        self.cause, self.cancelled_at = cause, now
        return True

    def finish(self, now: datetime) -> bool:
        """End the batch when nothing is pending; False when something is, or it has ended."""
        if self.finished_at is not None or self._counts[_PENDING]:
            return False
        self.finished_at = now
        return True

    @property
    def ended_well(self) -> bool:
        """Whether nobody cancelled it, and nothing but allowed failures went wrong."""
        bad = self._counts["failed"] + self._counts["broken"] + self._counts["cancelled"]
        return self.cause != "user" and (self.plan.allow_failures or not bad)

    def failed(self) -> list[JobId]:
        """Return the failed members, sorted."""
        return sorted(one for one, entry in self._entries.items() if entry == "failed")

    def state(self) -> BatchState:
        """Return how the batch stands."""
        return BatchState(
            id=self.plan.id,
            name=self.plan.name,
            total=len(self._entries),
            pending=self._counts[_PENDING],
            succeeded=self._counts["succeeded"],
            failed=self._counts["failed"],
            skipped=self._counts["skipped"],
            cancelled=self._counts["cancelled"],
            broken=self._counts["broken"],
            allow_failures=self.plan.allow_failures,
            created_at=self.plan.created_at,
            cancelled_at=self.cancelled_at,
            finished_at=self.finished_at,
            context=self.plan.context,
        )

    def _write(self, job_id: str, entry: str) -> None:
        before = self._entries.get(job_id)
        if before is not None:
            self._counts[before] -= 1
        self._entries[job_id] = entry
        self._counts[entry] += 1
