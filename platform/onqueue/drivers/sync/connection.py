"""A connection that runs its jobs inside the dispatching process, at once.

A delay is ignored, tries and backoff have no meaning: the job has one attempt, and what it raises
is raised to the dispatcher, after the job was written to the failed store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from onqueue.clock import SystemClock
from onqueue.contracts import QueueSize
from onqueue.drivers.sync.plans import InlinePlans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onqueue.config import ConnectionConfig
    from onqueue.contracts import Clock, JobId, Message
    from onqueue.drivers.sync.plans import Run
    from onqueue.plans import (
        BatchId,
        BatchPlan,
        BatchState,
        ChainId,
        ChainPlan,
        ChainState,
        ClaimState,
    )


class SyncQueue:
    """Runs each job when it is pushed, by what the manager hands in."""

    runs_inline: ClassVar[bool] = True
    supports: frozenset[str] = frozenset({"runs-inline", "unique", "chains", "batches"})

    def __init__(self, config: ConnectionConfig, *, run: Run, clock: Clock | None = None) -> None:
        """Keep the settings and what runs a job."""
        self.name = config.name
        self.config = config
        self._plans = InlinePlans(config.name, run, clock or SystemClock())

    def push(self, message: Message) -> bool:
        """Run the job now; raises what it raises. False when another job has its lock."""
        return self._plans.push(message) == message.id

    def push_many(self, messages: Sequence[Message]) -> int:
        """Run the jobs one after the other; the first that raises ends it."""
        return sum([self.push(message) for message in messages])

    # ---- claims, chains and batches, while this process lives ----

    def push_unique(self, messages: Sequence[Message]) -> list[JobId]:
        """Run the jobs that get their locks; return for each the id of the one that stands."""
        return [self._plans.push(message) for message in messages]

    def claims(self, *, orphans_only: bool = False) -> list[ClaimState]:
        """Return the locks of jobs that run just now; none is an orphan."""
        return [] if orphans_only else self._plans.claims()

    def free_claim(self, key: str) -> bool:
        """Take a lock from its owner, which runs on; False when there is none."""
        return self._plans.free_claim(key)

    def start_chain(self, plan: ChainPlan) -> bool:
        """Run a chain; raises what broke it. False when it was started before."""
        return self._plans.start_chain(plan)

    def chain(self, chain_id: ChainId) -> ChainState | None:
        """Return how a chain stands, or ended."""
        return self._plans.chain(chain_id)

    def transfers(self, limit: int = 100) -> list[Message | ChainPlan]:
        """Return what belongs to other connections."""
        return self._plans.transfers(limit)

    def carried(self, taken: Sequence[Message | ChainPlan]) -> None:
        """Forget what was taken there."""
        self._plans.carried(taken)

    def start_batch(self, plan: BatchPlan) -> bool:
        """Run a batch; raises the first failure that it does not allow."""
        return self._plans.start_batch(plan)

    def add_to_batch(self, batch_id: BatchId, members: Sequence[Message | ChainPlan]) -> int:
        """Run more members of a batch; return how many jobs, 0 when it has ended."""
        return self._plans.add_to_batch(batch_id, members)

    def cancel_batch(self, batch_id: BatchId) -> bool:
        """Let the members that wait end unrun; False when it has ended or was cancelled."""
        return self._plans.cancel_batch(batch_id)

    def forget_batch(self, batch_id: BatchId) -> bool:
        """Forget a batch; False when it was not known."""
        return self._plans.forget_batch(batch_id)

    def batch(self, batch_id: BatchId) -> BatchState | None:
        """Return how a batch stands, or ended."""
        return self._plans.batch(batch_id)

    def batches(self, after: BatchId | None = None, limit: int = 50) -> list[BatchState]:
        """Return the newest first; `after` is the id of the last one seen."""
        return self._plans.batches(after, limit)

    def failed_members(self, batch_id: BatchId) -> list[JobId]:
        """Return the members that have failed, sorted."""
        return self._plans.failed_members(batch_id)

    # ---- what waits: nothing ----

    def size(self, queue: str) -> QueueSize:  # noqa: ARG002 - nothing ever waits
        """Return zeros."""
        return QueueSize()

    def queues(self) -> list[str]:
        """Return none: nothing ever waits."""
        return []

    def clear(self, queue: str) -> int:  # noqa: ARG002 - nothing ever waits
        """Return 0."""
        return 0

    def forget(self, job_id: JobId) -> bool:  # noqa: ARG002 - nothing ever waits
        """Return False."""
        return False

    def knows(self, ids: Sequence[JobId]) -> set[JobId]:  # noqa: ARG002 - nothing ever waits
        """Return none."""
        return set()

    def pause(self, queue: str | None, reason: str = "", until: float | None = None) -> None:
        """Change nothing: no job is ever handed out."""

    def resume(self, queue: str | None) -> None:
        """Change nothing: no job is ever handed out."""

    def paused(self) -> dict[str, str]:
        """Return none."""
        return {}

    def check(self) -> None:
        """Find nothing wrong: there is no broker."""

    def close(self) -> None:
        """Have nothing to give back."""
