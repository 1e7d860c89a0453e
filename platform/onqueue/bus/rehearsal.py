"""The batch and the chain of a run that never was: for tests of single jobs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from onqueue.bus.batch import Batch, sketches_of
from onqueue.bus.chain import Chain
from onqueue.plans import BatchState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

    from onqueue.bus.batch import Member
    from onqueue.bus.chain import Link
    from onqueue.bus.planning import BatchSketch, ChainSketch
    from onqueue.contracts import JobId
    from onqueue.job import Job
    from onqueue.job_context import JobContext

FAKE_BATCH = "f" * 32
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


class FakeBatch(Batch):
    """A batch that is nowhere: what a job does to it is kept to be asserted on."""

    def __init__(self, state: BatchState) -> None:
        """Begin as it is told to stand."""
        super().__init__("fake", state)
        self.added: list[Job | ChainSketch] = []
        self.was_deleted = False

    def fresh(self) -> Self:
        """Return the same batch: nobody else changes it."""
        return self

    def add(self, members: Iterable[Member]) -> int:
        """Keep the members in `added`, and count them."""
        sketches = sketches_of(members)
        self.added += sketches
        self.state = replace(
            self.state,
            total=self.state.total + len(sketches),
            pending=self.state.pending + len(sketches),
        )
        return len(sketches)

    def cancel(self) -> bool:
        """Note that the batch was cancelled; False when it was before."""
        if self.cancelled:
            return False
        self.state = replace(self.state, cancelled_at=self.state.created_at)
        return True

    def delete(self) -> bool:
        """Note that the batch is to be forgotten."""
        self.was_deleted = True
        return True

    def failed_ids(self) -> list[JobId]:
        """Return none: a fake has no members."""
        return []


class Rehearsal:
    """What a run under test reaches of its chain and its batch."""

    def __init__(self) -> None:
        """Be in no batch, and in a chain without other links."""
        self.fake: FakeBatch | None = None
        self.prepended: list[Job | BatchSketch] = []
        self.appended: list[Job | BatchSketch] = []

    def batch(self, context: JobContext) -> FakeBatch | None:
        """Return the fake batch, None when the test made none."""
        del context
        return self.fake

    def link(self, context: JobContext, links: Sequence[Link], *, front: bool) -> None:
        """Keep the links; raises `NotBatchable` for what can be none."""
        del context
        made = Chain(links).sketch.links
        if front:
            self.prepended[:0] = made
        else:
            self.appended += made

    def rehearsal(self) -> Rehearsal:
        """Return another one, for another run."""
        return Rehearsal()

    def make_batch(
        self,
        *,
        total: int = 1,
        pending: int = 1,
        failed: int = 0,
        name: str = "",
        allow_failures: bool = False,
        cancelled: bool = False,
        finished: bool = False,
    ) -> FakeBatch:
        """Let the run be in a batch that stands like this, and return it."""
        self.fake = FakeBatch(
            BatchState(
                id=FAKE_BATCH,
                name=name,
                total=total,
                pending=pending,
                succeeded=total - pending - failed,
                failed=failed,
                skipped=0,
                cancelled=0,
                broken=0,
                allow_failures=allow_failures,
                created_at=BEGINNING,
                cancelled_at=BEGINNING if cancelled else None,
                finished_at=BEGINNING if finished else None,
            )
        )
        return self.fake
