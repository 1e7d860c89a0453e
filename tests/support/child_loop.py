"""A worker's child without a process, a broker or time passing: the loop on doubles."""

import os
import select
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from onqueue import events
from onqueue.connections import QueueManager
from onqueue.contracts import Checkpoints, JobId, ReservedJob, Turn
from onqueue.coroutines import EventLoop
from onqueue.errors import BrokerUnavailable, LeaseLost
from onqueue.job import Job
from onqueue.keyring import Keyring
from onqueue.payload import plan_of
from onqueue.plans import ChainEdit, Ending
from onqueue.quotas import Pause, Quota
from onqueue.stores import FailedJob, OutboxState
from onqueue.testing.clock import FakeClock
from onqueue.worker.attempt import Attempts
from onqueue.worker.child import Lifeline
from onqueue.worker.cutting import Cutter
from onqueue.worker.loop import Loop
from onqueue.worker.options import WorkerOptions
from onqueue.worker.settlement import Settlement
from onqueue.worker.shared import Exit, Shared
from onqueue.worker.stopping import StopReason
from onqueue.worker.unix_signals import Wakeup


class LocksDouble:
    """Locks that are free unless a test took them."""

    def __init__(self) -> None:
        self.taken: dict[str, str] = {}

    def acquire(self, key: str, owner: JobId, expire_after: float | None) -> bool:
        del expire_after
        return self.taken.setdefault(key, owner) == owner

    def release(self, key: str, owner: JobId) -> bool:
        return self.taken.get(key) == owner and bool(self.taken.pop(key))


class LimitsDouble:
    """Quotas that are open unless a test shut them; notes what was asked of it."""

    def __init__(self) -> None:
        self.shut: dict[str, float] = {}
        self.told: list[tuple[str, ...]] = []

    def admit(self, quotas: Sequence[Quota], owner: JobId, queue: str) -> float | None:
        self.told.append(("admit", owner, queue, *(quota.key for quota in quotas)))
        return max(
            (self.shut[quota.key] for quota in quotas if quota.key in self.shut), default=None
        )

    def free(self, quotas: Sequence[Quota], owner: JobId) -> None:
        self.told.append(("free", owner, *(quota.key for quota in quotas)))

    def free_at_end(self, quotas: Sequence[Quota], owner: JobId) -> None:
        self.free(quotas, owner)

    def take_each(self, quotas: Sequence[Quota]) -> list[float | None]:
        self.told.append(("take_each", *(quota.key for quota in quotas)))
        return [self.shut.get(quota.key) for quota in quotas]

    def hit(self, quota: Quota) -> None:
        self.told.append(("hit", quota.key))

    def clear(self, quota: Quota) -> None:
        self.told.append(("clear", quota.key))


@dataclass
class ConsumerDouble:
    """Hands out what a test put into `ready` and writes down what it was told."""

    holder: str = "h1"
    ready: list[ReservedJob] = field(default_factory=list)
    told: list[tuple[Any, ...]] = field(default_factory=list)
    refuse: bool = False
    lost: bool = False
    refused: set[JobId] = field(default_factory=set)
    away_for: int = 0
    free_locks: set[str] = field(default_factory=set)
    quotas: LimitsDouble = field(default_factory=LimitsDouble)
    pauses: frozenset[Pause] = frozenset()
    dues: list[float] = field(default_factory=list)
    """For each trip that brings nothing, seconds until there is more; None when used up."""
    late: list[ReservedJob] = field(default_factory=list)
    """What becomes ready with the first of those trips."""

    def turn(self, want: int, done: Sequence[JobId]) -> Turn:
        self._answer()
        if self.lost:
            raise LeaseLost(self.holder)
        if done:
            self.told.append(("done", *done))
        given, self.ready = self.ready[:want], self.ready[want:]
        refused = [job_id for job_id in done if job_id in self.refused]
        due = None
        if want and not given and self.dues:
            due = self.dues.pop(0)
            self.ready, self.late = self.late, []
        return Turn(given, due, refused, pauses=self.pauses)

    def mark(self, done: JobId | None, started: JobId) -> None:
        self._answer()
        self.told.append(("mark", done, started))

    def ack(
        self, job: ReservedJob, outcome: Ending = "succeeded", chain: ChainEdit | None = None
    ) -> bool:
        del chain
        return self._settle("ack", job.id, *([outcome] if outcome != "succeeded" else []))

    def processing(self, job: ReservedJob) -> bool:
        del job
        return not self.lost

    def fail(self, job: ReservedJob) -> bool:
        return self._settle("fail", job.id)

    def release(
        self,
        job: ReservedJob,
        delay: float,
        *,
        attempts: int,
        exceptions: int,
        deaths: int | None = None,
    ) -> bool:
        forgiven = () if deaths is None else (f"{deaths} deaths",)
        return self._settle("release", job.id, delay, attempts, exceptions, *forgiven)

    def park(self, job: ReservedJob, lock: str) -> bool:
        return lock not in self.free_locks and self._settle("park", job.id, lock)

    def wait_turn(self, job: ReservedJob, quotas: Sequence[Quota]) -> None:
        if not self._settle("wait", job.id, *(quota.key for quota in quotas)):
            raise LeaseLost(self.holder, job.id)

    def give_back(self, ids: Sequence[JobId]) -> None:
        self.told.append(("give back", *ids))

    def leave(self) -> None:
        """Nothing was set aside."""

    def wait(self, timeout: float, wakeup_fd: int) -> None:
        poller = select.poll()
        poller.register(wakeup_fd, select.POLLIN)
        poller.poll(timeout)

    def locks(self) -> LocksDouble:
        return LocksDouble()

    def limits(self) -> LimitsDouble:
        return self.quotas

    def checkpoints(self) -> None:
        """Keep no notes."""

    def close(self) -> None:
        """Nothing to give back."""

    def settled(self, job_id: JobId) -> tuple[Any, ...]:
        """Return what became of a job: the one settling call about it."""
        [call] = [
            told
            for told in self.told
            if told[0] not in {"mark", "give back"} and job_id in told[1:]
        ]
        return (call[0], *call[2:]) if call[0] != "done" else ("done",)

    @property
    def started(self) -> list[JobId]:
        """The jobs that were marked as started, in order."""
        return [told[2] for told in self.told if told[0] == "mark"]

    def _settle(self, verb: str, *what: Any) -> bool:
        self._answer()
        if not self.refuse:
            self.told.append((verb, *what))
        return not self.refuse

    def _answer(self) -> None:
        if self.away_for > 0:
            self.away_for -= 1
            raise BrokerUnavailable("redis", "nowhere", "the test sent it away")


class FailedDouble:
    """A failed store that can be away for some calls."""

    def __init__(self) -> None:
        self.records: list[FailedJob] = []
        self.away_for = 0

    def record(self, failed: FailedJob) -> None:
        if self.away_for > 0:
            self.away_for -= 1
            raise OSError("the failed store is away")
        self.records.append(failed)


class OutboxDouble:
    """The outcomes of durable jobs."""

    def __init__(self) -> None:
        self.outcomes: dict[JobId, OutboxState] = {}
        self.away_for = 0
        self.unreadable = False

    def state(self, job_id: JobId) -> OutboxState | None:
        if self.unreadable:
            raise OSError("the outbox is away")
        return self.outcomes.get(job_id)

    def mark_outcome(self, job_id: JobId, outcome: OutboxState) -> None:
        if self.away_for > 0:
            self.away_for -= 1
            raise OSError("the outbox is away")
        self.outcomes[job_id] = outcome


class Bench:
    """One child's loop with everything around it in a test's hands."""

    def __init__(self, services: Any = None) -> None:
        self.clock = FakeClock()
        self.consumer = ConsumerDouble()
        self.failed = FailedDouble()
        self.outbox = OutboxDouble()
        self.shared = Shared(128)
        self.shared.vouch(1e9)
        self.cutter = Cutter(lambda: (0, None))
        self.services = services
        self.manager = QueueManager("redis", {"redis": {"driver": "redis"}}, clock=self.clock)
        self.keys = Keyring()
        self.checkpoints: Checkpoints | None = None
        self._numbers = 0
        self.notices = 0
        """How often the child has woken its parent."""

    def put(self, job: Job, **state: Any) -> JobId:
        """Make a job ready and return its id."""
        context = state.pop("context", None)
        now = self.clock.time()
        payload = plan_of(type(job)).encode(job, now, context, keys=self.keys)
        return self.put_payload(payload, **state)

    def put_payload(self, payload: bytes, **state: Any) -> JobId:
        """Make bytes ready and return their id."""
        self._numbers += 1
        job_id = f"{self._numbers:032x}"
        self.consumer.ready.append(ReservedJob(job_id, "default", payload, **state))
        return job_id

    def run(self, **given: Any) -> tuple[Exit, StopReason | None]:
        """Let the loop work until nothing is ready."""
        options = WorkerOptions(**{"stop_when_empty": True, "memory": 0, **given})
        reader, writer = os.pipe()
        event_loop = EventLoop()
        wakeup = Wakeup()
        lifeline = Lifeline(self.consumer.holder, self.shared, self.clock)
        settlement = Settlement(
            connection="redis",
            consumer=self.consumer,
            failed=self.failed,  # type: ignore[arg-type]
            outbox=self.outbox,  # type: ignore[arg-type]
            clock=self.clock,
            lifeline=lifeline,
        )
        attempts = Attempts(
            connection="redis",
            options=options,
            clock=self.clock,
            lifeline=lifeline,
            cutter=self.cutter,
            locks=self.consumer.locks(),
            limits=self.consumer.limits(),
            checkpoints=self.checkpoints,
            services=self.services,
            keys=self.keys,
            gives_up=self.manager.gives_up,
            event_loop=event_loop,
        )
        loop = Loop(
            connection="redis",
            queues=("default",),
            options=options,
            clock=self.clock,
            shared=self.shared,
            consumer=self.consumer,
            attempts=attempts,
            settlement=settlement,
            cutter=self.cutter,
            wakeup=wakeup,
            notices=writer,
            started=self.clock.monotonic(),
        )
        try:
            return loop.run()
        finally:
            event_loop.close()
            wakeup.close()
            os.close(writer)
            self.notices += len(os.read(reader, 512))
            os.close(reader)


_HEARD = (
    "job_processing",
    "job_exception_occurred",
    "job_timed_out",
    "job_processed",
    "job_released",
    "job_failed",
    "job_lease_lost",
    "job_attempted",
)


@contextmanager
def hearing() -> Iterator[list[Any]]:
    """Yield a list that receives every event about runs."""
    heard: list[Any] = []
    note = heard.append
    with_receiver = [getattr(events, name) for name in _HEARD]
    for signal in with_receiver:
        signal.connect(note, weak=False)
    try:
        yield heard
    finally:
        for signal in with_receiver:
            signal.disconnect(note)


def names(heard: Sequence[object]) -> list[str]:
    """Return the kinds of events, in order."""
    return [type(event).__name__ for event in heard]
