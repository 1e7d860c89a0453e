"""A bus that keeps what is dispatched, chains and batches included, to be asserted on."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from onqueue.bus.dispatcher import Dispatcher, dispatcher_of
from onqueue.bus.planning import BatchSketch, ChainSketch, new_id
from onqueue.bus.sending import Sender
from onqueue.bus.starting import Starter
from onqueue.connections import using
from onqueue.job import Job
from onqueue.payload import decode, plan_of
from onqueue.testing.queue_fake import manager_in_use

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from onqueue.connections import QueueManager
    from onqueue.contracts import JobId
    from onqueue.plans import BatchState, ChainId

J = TypeVar("J", bound=Job)

Way: TypeAlias = Literal["queue", "sync", "after response"]


@dataclass(frozen=True, slots=True)
class Dispatched:
    """One job that was dispatched by itself, and how."""

    job: Job
    way: Way


@dataclass(frozen=True, slots=True)
class ExpectedBatch:
    """Stands for a batch among the links that `assert_chained` expects."""

    where: Callable[[BatchSketch], Any]


Expected: TypeAlias = "type[Job] | Job | ExpectedBatch"


def chained_batch(where: Callable[[BatchSketch], Any] = lambda _: True) -> ExpectedBatch:
    """Return what matches a batch among the links of a chain for which `where` holds."""
    return ExpectedBatch(where)


class BusFake:
    """What was dispatched, in order, and assertions about it. Nothing runs."""

    def __init__(self, manager: QueueManager) -> None:
        """Keep everything that is dispatched."""
        self.dispatched: list[Dispatched] = []
        self.chains: list[ChainSketch] = []
        self.batches: list[BatchSketch] = []
        self._manager = manager

    # ---- in place of the dispatcher ----

    def dispatch(self, job: Job) -> JobId:
        """Keep the job; raises what a real dispatch raises for a job that cannot travel."""
        return self._keep(job, "queue")

    def dispatch_many(self, jobs: Iterable[Job]) -> list[JobId]:
        """Keep the jobs."""
        return [self.dispatch(job) for job in jobs]

    def dispatch_sync(self, job: Job) -> JobId:
        """Keep the job instead of running it."""
        return self._keep(job, "sync")

    def dispatch_after_response(self, job: Job) -> JobId:
        """Keep the job instead of running it later."""
        return self._keep(job, "after response")

    def dispatch_chain(self, sketch: ChainSketch) -> ChainId:
        """Keep the chain; raises what a real dispatch raises."""
        self._starter().plan_chain(sketch)
        self.chains.append(sketch)
        return new_id()

    def dispatch_chain_sync(self, sketch: ChainSketch) -> ChainId:
        """Keep the chain instead of running it."""
        return self.dispatch_chain(sketch)

    def dispatch_batch(self, sketch: BatchSketch) -> tuple[str, BatchState]:
        """Keep the batch; raises what a real dispatch raises."""
        connection, state = self._starter().plan_batch(sketch)
        self.batches.append(sketch)
        return connection, state

    def add_to_batch(
        self, connection: str, state: BatchState, members: Sequence[Job | ChainSketch]
    ) -> int:
        """Keep more members as a batch of their own."""
        del connection
        self.batches.append(BatchSketch(list(members), name=state.name))
        return len(members)

    def _keep(self, job: Job, way: Way) -> JobId:
        connection = self._manager.configs[self._manager.default]
        now = self._manager.clock.time()
        keys = self._manager.keys
        payload = plan_of(type(job)).encode(job, now, None, connection.max_payload, keys=keys)
        self.dispatched.append(Dispatched(decode(payload).restore(keys), way))
        return new_id()

    def _starter(self) -> Starter:
        return Starter(self._manager, Dispatcher(self._manager), Sender(self._manager))

    # ---- single jobs ----

    def jobs(self, job_class: type[J], where: Callable[[J], Any] | None = None) -> list[J]:
        """Return the jobs of a class that were dispatched by themselves, in whatever way."""
        return self._jobs(job_class, where, ("queue", "sync", "after response"))

    def assert_dispatched(
        self,
        job_class: type[J],
        where: Callable[[J], Any] | None = None,
        *,
        times: int | None = None,
    ) -> list[J]:
        """Return the matching jobs; fail unless there is one, or exactly `times` of them."""
        return self._assert(self.jobs(job_class, where), job_class, times)

    def assert_dispatched_sync(
        self, job_class: type[J], where: Callable[[J], Any] | None = None
    ) -> list[J]:
        """Fail unless a matching job was to run at once."""
        return self._assert(self._jobs(job_class, where, ("sync",)), job_class, None)

    def assert_dispatched_after_response(
        self, job_class: type[J], where: Callable[[J], Any] | None = None
    ) -> list[J]:
        """Fail unless a matching job was to run after the response."""
        return self._assert(self._jobs(job_class, where, ("after response",)), job_class, None)

    def assert_not_dispatched(
        self, job_class: type[J], where: Callable[[J], Any] | None = None
    ) -> None:
        """Fail when a matching job was dispatched by itself."""
        found = self.jobs(job_class, where)
        self._check(not found, f"{len(found)} × {job_class.__name__}, expected none")

    def assert_nothing_dispatched(self) -> None:
        """Fail when anything was dispatched, a chain or a batch as well."""
        count = len(self.dispatched) + len(self.chains) + len(self.batches)
        self._check(not count, f"{count} things, expected nothing")

    # ---- chains ----

    def assert_chained(self, links: Sequence[Expected]) -> ChainSketch:
        """Return the chain of exactly these links; fail when there was none.

        A link is given as a class, as a job with the same fields, or as a `chained_batch`.
        """
        for sketch in self.chains:
            if _is_chain_of(sketch.links, links):
                return sketch
        raise AssertionError(self._told(f"no chain of {[_named(link) for link in links]}"))

    def assert_dispatched_without_chain(
        self, job_class: type[J], where: Callable[[J], Any] | None = None
    ) -> None:
        """Fail unless a matching job was dispatched by itself, and no chain begins with one."""
        self.assert_dispatched(job_class, where)
        heads = [sketch.links[0] for sketch in self.chains if sketch.links]
        found = [head for head in heads if isinstance(head, job_class)]
        chained = [head for head in found if where is None or where(head)]
        self._check(not chained, f"a chain that begins with {job_class.__name__}, expected none")

    def assert_nothing_chained(self) -> None:
        """Fail when a chain was dispatched."""
        self._check(not self.chains, f"{len(self.chains)} chains, expected none")

    # ---- batches ----

    def assert_batched(self, where: Callable[[BatchSketch], Any] = lambda _: True) -> BatchSketch:
        """Return the first batch for which `where` holds; fail when there was none."""
        for sketch in self.batches:
            if where(sketch):
                return sketch
        raise AssertionError(self._told("no such batch"))

    def assert_batch_count(self, count: int) -> None:
        """Fail unless so many batches were dispatched."""
        self._check(len(self.batches) == count, f"{len(self.batches)} batches, not {count}")

    def assert_nothing_batched(self) -> None:
        """Fail when a batch was dispatched."""
        self.assert_batch_count(0)

    # ---- inside ----

    def _jobs(
        self, job_class: type[J], where: Callable[[J], Any] | None, ways: tuple[Way, ...]
    ) -> list[J]:
        found = [one.job for one in self.dispatched if one.way in ways]
        jobs = [job for job in found if isinstance(job, job_class)]
        return [job for job in jobs if where is None or where(job)]

    def _assert(self, found: list[J], job_class: type[J], times: int | None) -> list[J]:
        name = job_class.__name__
        if times is not None:
            self._check(len(found) == times, f"{len(found)} × {name}, not {times}")
        self._check(bool(found) or times == 0, f"no such {name}")
        return found

    def _check(self, holds: bool, what: str) -> None:  # noqa: FBT001 - the fact itself
        if not holds:
            raise AssertionError(self._told(what))

    def _told(self, what: str) -> str:
        lines = [f"  {one.job!r} ({one.way})" for one in self.dispatched]
        lines += [f"  chain {[_named(link) for link in sketch.links]}" for sketch in self.chains]
        lines += [f"  batch {_batch_named(sketch)}" for sketch in self.batches]
        return "\n".join([f"dispatched were {what}; in all:", *(lines or ["  nothing"])])


def _is_chain_of(links: Sequence[Job | BatchSketch], expected: Sequence[Expected]) -> bool:
    if len(links) != len(expected):
        return False
    return all(_matches(link, want) for link, want in zip(links, expected, strict=True))


def _matches(link: Job | BatchSketch, want: Expected) -> bool:
    if isinstance(want, ExpectedBatch):
        return isinstance(link, BatchSketch) and bool(want.where(link))
    if isinstance(want, type):
        return isinstance(link, want)
    return link == want


def _named(link: Job | BatchSketch | Expected) -> str:
    if isinstance(link, type):
        return link.__name__
    if isinstance(link, BatchSketch):
        return f"batch {_batch_named(link)}"
    return "a batch" if isinstance(link, ExpectedBatch) else repr(link)


def _batch_named(sketch: BatchSketch) -> str:
    members = [
        [_named(link) for link in member.links] if isinstance(member, ChainSketch) else repr(member)
        for member in sketch.members
    ]
    return f"{sketch.name!r} of {members}"


@contextmanager
def bus_fake(manager: QueueManager | None = None) -> Iterator[BusFake]:
    """Keep what is dispatched in the block: jobs by any way, chains and batches; nothing runs.

    Works on the given manager, on the one in use, or without any.
    """
    manager = manager or manager_in_use()
    behind = dispatcher_of(manager)
    fake = BusFake(manager)
    with using(manager):
        manager.dispatcher = fake
        try:
            yield fake
        finally:
            manager.dispatcher = behind
