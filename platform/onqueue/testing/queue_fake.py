"""A queue that keeps its jobs to be asserted on, instead of running them.

Each job is written to a payload and restored, so that what could not travel fails the test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import urandom
from typing import TYPE_CHECKING, Any, TypeVar

from onqueue.bus.admission import delay_of
from onqueue.bus.dispatcher import Dispatcher, dispatcher_of
from onqueue.bus.planning import BatchSketch, ChainSketch, new_id
from onqueue.bus.sending import Sender
from onqueue.bus.starting import Starter
from onqueue.connections import QueueManager, current_manager, using
from onqueue.errors import NoCurrentManager
from onqueue.job import Job
from onqueue.payload import decode, option, plan_of

if TYPE_CHECKING:
    from onqueue.contracts import JobId
    from onqueue.job import Dispatching
    from onqueue.plans import BatchState, ChainId

J = TypeVar("J", bound="Job")


@dataclass(frozen=True, slots=True)
class Pushed:
    """One dispatched job: what a worker would have got, and where. `delay` is seconds."""

    id: JobId
    job: Job
    connection: str
    queue: str
    delay: float


class QueueFake:
    """What was dispatched, in order, and assertions about it."""

    def __init__(
        self,
        manager: QueueManager,
        behind: Dispatching,
        *,
        only: Sequence[type[Job]] = (),
        all_but: Sequence[type[Job]] = (),
    ) -> None:
        """Keep all jobs, `only` some classes, or `all_but` some; the rest really go."""
        self.pushed: list[Pushed] = []
        self._manager = manager
        self._behind = behind
        self._only = tuple(only)
        self._all_but = tuple(all_but)

    # ---- in place of the dispatcher ----

    def dispatch(self, job: Job) -> JobId:
        """Keep the job; raises what a real dispatch raises for a job that cannot travel."""
        if not self._keeps(job):
            return self._behind.dispatch(job)
        connection = self._manager.config(option(job, "connection"))
        context = self._manager.context() if self._manager.context is not None else None
        now = self._manager.clock.time()
        payload = plan_of(type(job)).encode(
            job, now, context, connection.max_payload, keys=self._manager.keys
        )
        pushed = Pushed(
            id=urandom(16).hex(),
            job=decode(payload).restore(self._manager.keys),
            connection=connection.name,
            queue=option(job, "queue") or connection.queue,
            delay=delay_of(job, now),
        )
        self.pushed.append(pushed)
        return pushed.id

    def dispatch_many(self, jobs: Iterable[Job]) -> list[JobId]:
        """Keep the jobs."""
        return [self.dispatch(job) for job in jobs]

    def dispatch_sync(self, job: Job) -> JobId:
        """Keep the job instead of running it."""
        return self.dispatch(job) if self._keeps(job) else self._behind.dispatch_sync(job)

    def dispatch_after_response(self, job: Job) -> JobId:
        """Keep the job instead of running it later."""
        if self._keeps(job):
            return self.dispatch(job)
        return self._behind.dispatch_after_response(job)

    def dispatch_chain(self, sketch: ChainSketch) -> ChainId:
        """Keep the first link, when it is a job; raises what a real dispatch raises."""
        Starter(self._manager, Dispatcher(self._manager), Sender(self._manager)).plan_chain(sketch)
        self._keep_jobs(sketch.links[:1])
        return new_id()

    def dispatch_chain_sync(self, sketch: ChainSketch) -> ChainId:
        """Keep the first link instead of running it."""
        return self.dispatch_chain(sketch)

    def dispatch_batch(self, sketch: BatchSketch) -> tuple[str, BatchState]:
        """Keep the members; raises what a real dispatch raises."""
        starter = Starter(self._manager, Dispatcher(self._manager), Sender(self._manager))
        connection, state = starter.plan_batch(sketch)
        self._keep_jobs(sketch.members)
        return connection, state

    def add_to_batch(
        self, connection: str, state: BatchState, members: Sequence[Job | ChainSketch]
    ) -> int:
        """Keep more members."""
        del connection, state
        return self._keep_jobs(members)

    def _keep_jobs(self, found: Sequence[Job | ChainSketch | BatchSketch]) -> int:
        jobs = [one for one in found if isinstance(one, Job)]
        for job in jobs:
            self.dispatch(job)
        inner = [one.links[:1] for one in found if isinstance(one, ChainSketch)]
        return len(jobs) + sum(map(self._keep_jobs, inner))

    def _keeps(self, job: Job) -> bool:
        if self._only:
            return isinstance(job, self._only)
        return not isinstance(job, self._all_but)

    # ---- asking ----

    def jobs(self, job_class: type[J], where: Callable[[J], Any] | None = None) -> list[J]:
        """Return the kept jobs of a class for which `where` holds."""
        found = [one.job for one in self.pushed if isinstance(one.job, job_class)]
        return [job for job in found if where is None or where(job)]

    def assert_pushed(
        self,
        job_class: type[J],
        where: Callable[[J], Any] | None = None,
        *,
        times: int | None = None,
    ) -> list[J]:
        """Return the matching jobs; fail unless there is one, or exactly `times` of them."""
        found = self.jobs(job_class, where)
        if times is not None:
            assert len(found) == times, self._tell(
                f"{len(found)} × {job_class.__name__}, not {times}"
            )
        assert found or times == 0, self._tell(f"no such {job_class.__name__}")
        return found

    def assert_pushed_on(
        self, queue: str, job_class: type[J], where: Callable[[J], Any] | None = None
    ) -> None:
        """Fail unless a matching job went to that queue."""
        matching = self.jobs(job_class, where)
        queues = [one.queue for one in self.pushed if any(one.job is job for job in matching)]
        assert queue in queues, self._tell(f"no such {job_class.__name__} on queue {queue!r}")

    def assert_not_pushed(
        self, job_class: type[J], where: Callable[[J], Any] | None = None
    ) -> None:
        """Fail when a matching job was dispatched."""
        found = self.jobs(job_class, where)
        assert not found, self._tell(f"{len(found)} × {job_class.__name__}, expected none")

    def assert_nothing_pushed(self) -> None:
        """Fail when any job was kept."""
        assert not self.pushed, self._tell(f"{len(self.pushed)} jobs, expected none")

    def assert_count(self, count: int) -> None:
        """Fail unless so many jobs were kept."""
        assert len(self.pushed) == count, self._tell(f"{len(self.pushed)} jobs, not {count}")

    def _tell(self, what: str) -> str:
        lines = [f"  {one.job!r} on {one.connection}:{one.queue}" for one in self.pushed]
        return "\n".join([f"dispatched were {what}; in all:", *(lines or ["  nothing"])])


@contextmanager
def queue_fake(
    *only: type[Job], all_but: Sequence[type[Job]] = (), manager: QueueManager | None = None
) -> Iterator[QueueFake]:
    """Keep the jobs dispatched in the block: all, `only` some classes, or `all_but` some.

    Works on the given manager, on the one in use, or without any.
    """
    manager = manager or manager_in_use()
    behind = dispatcher_of(manager)
    fake = QueueFake(manager, behind, only=only, all_but=all_but)
    with using(manager):
        manager.dispatcher = fake
        try:
            yield fake
        finally:
            manager.dispatcher = behind


def manager_in_use() -> QueueManager:
    """Return the manager in use, or one that throws everything away."""
    try:
        return current_manager()
    except NoCurrentManager:
        return QueueManager(
            default="fake",
            connections={"fake": {"driver": "null"}},
            app_keys=[("fake", bytes(range(32)))],
        )
