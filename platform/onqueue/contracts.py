"""The seams of the core: what a driver and a worker owe each other; `stores` has the databases'.

Times are seconds as floats, counted from now; instants are aware UTC datetimes unless said
otherwise. Longer than other files, as whoever writes a driver reads it as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from onqueue.plans import (
    BatchId,
    BatchPlan,
    BatchState,
    CallbackKind,
    ChainEdit,
    ChainId,
    ChainPlan,
    ChainState,
    Claim,
    ClaimState,
    Ending,
    OnConflict,
    Tie,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from onqueue.config import ConnectionConfig
    from onqueue.job_context import JobContext
    from onqueue.quotas import Limits, Pause, Quota, Spent

__all__ = [  # with what `plans` defines
    "BatchId",
    "BatchPlan",
    "BatchState",
    "CallbackKind",
    "ChainEdit",
    "ChainId",
    "ChainPlan",
    "ChainState",
    "Claim",
    "ClaimState",
    "Ending",
    "OnConflict",
    "Tie",
]

JobId: TypeAlias = str
"""32 hexadecimal digits."""

ONCE_WINDOW = 86_400.0
"""Seconds for which a push made `once` is remembered: above any pause of a relay or of a retry."""

Capability: TypeAlias = Literal[
    "delay",
    "leases",
    "locks",
    "once",
    "park",
    "pause",
    "size",
    "forget",
    "knows",
    "runs-inline",
    "unique",
    "chains",
    "batches",
    "fair",
    "limits",
    "cancel",
    "checkpoints",
]
"""What a driver may declare in `supports`; "leases" means that it renews them while a job runs."""

JobState: TypeAlias = Literal["ready", "delayed", "reserved", "parked"]
BurialKind: TypeAlias = Literal["exit", "death", "timeout", "memory", "lapsed"]
Cancelling: TypeAlias = Literal["removed", "asked", "unknown", "moving"]
"""What became of the wish to cancel a job: it waited and is gone, it runs and its worker was told,
nobody knows it, or it never stood still long enough to be caught."""


# Nobody changes one, but it is not frozen: that costs a microsecond at each dispatch.
@dataclass(slots=True)
class Message:
    """What a driver stores; `once` > 0 refuses an id seen before for that many seconds.

    `token` takes the id's place in what `once` remembers: a retry is another push of an id that
    was seen, and must itself be made once. `connection` is only for what a chain or a batch keeps:
    "" is the connection it lives on.
    """

    id: JobId
    queue: str
    payload: bytes
    delay: float = 0.0
    once: float = 0.0
    token: str = ""
    tie: Tie | None = None
    connection: str = ""


@dataclass(slots=True)
class ReservedJob:
    """What a consumer hands to the worker.

    `attempts` were spent before this reservation; `doom` is "" or "timeout" (to be failed
    instead of run). `tie` is the driver's own text about its tie, "" for a plain job; `cancelled`
    tells that it, or its batch, was cancelled: it ends as "cancelled", unrun. `about` is the job
    or batch whose end called it, where it is a callback.
    """

    id: JobId
    queue: str
    payload: bytes
    attempts: int = 0
    exceptions: int = 0
    deaths: int = 0
    doom: str = ""
    tie: str = ""
    cancelled: bool = False
    about: str = ""


@dataclass(slots=True, frozen=True)
class QueueSize:
    """How many jobs of one queue are in which state."""

    ready: int = 0
    delayed: int = 0
    reserved: int = 0
    parked: int = 0

    @property
    def total(self) -> int:
        """All jobs of the queue that have no outcome yet."""
        return self.ready + self.delayed + self.reserved + self.parked


@dataclass(slots=True, frozen=True)
class Turn:
    """What one trip of a consumer brought.

    `next_due` is seconds until the next delayed job of its queues (None: there is none; 0: look
    again at once, there is more than one trip may reach);
    `refused` are the ids in `done` that this holder no longer held. `transfers` tells that
    something waits to be taken to another connection (`plans.ChainingQueue.transfers`).
    `pauses` are those that last, as far as the consumer knows.
    """

    jobs: list[ReservedJob]
    next_due: float | None
    refused: list[JobId]
    transfers: bool = False
    pauses: frozenset[Pause] = frozenset()


@dataclass(slots=True, frozen=True)
class Guilt:
    """What becomes of one job for whose sake its process had to be killed; see `Burial`."""

    job_id: JobId
    delay: float = 0.0
    doom: str = ""


@dataclass(slots=True, frozen=True)
class Burial:
    """Why a holder ends, and what becomes of the jobs it had in flight.

    `delay` is seconds until such a job is ready again; `doom` is written to its state. Only
    "death" adds one to a job's deaths; only "exit" gives its attempt back. Where `guilty` names
    jobs, each of them gets a delay and a doom of its own, and all others go back as in an "exit".
    """

    kind: BurialKind
    delay: float = 0.0
    doom: str = ""
    guilty: tuple[Guilt, ...] = ()


@dataclass(slots=True, frozen=True)
class CancelOrder:
    """A running job is to end: told at first, made to after `grace` seconds."""

    job_id: JobId
    grace: float


@dataclass(slots=True, frozen=True)
class QueuedJob:
    """A job that has no outcome yet, as an operator sees it.

    `due_in` is seconds (below 0: overdue), of a delayed one only; `place` is the holder of a
    reserved one and the lane of a parked one.
    """

    id: JobId
    queue: str
    state: JobState
    payload: bytes = b""
    attempts: int = 0
    exceptions: int = 0
    due_in: float | None = None
    place: str = ""

    def counted(self, as_in: ReservedJob) -> QueuedJob:
        """Return the same with the payload and the counters of a reservation."""
        return replace(
            self,
            payload=as_in.payload,
            attempts=as_in.attempts,
            exceptions=as_in.exceptions,
        )


@dataclass(slots=True, frozen=True)
class LockState:
    """A lock of a middleware. Without a `holder` it is kept for `owner`, a job that was woken.

    `expires_in` is seconds, None: with its holder. An orphan is nobody's any more.
    """

    name: str
    owner: JobId
    holder: str
    expires_in: float | None
    orphaned: bool

    def orphaned_by(self, loss: bool) -> LockState:  # noqa: FBT001 - it is the value itself
        """Return the same, an orphan also when its owner was lost."""
        return replace(self, orphaned=self.orphaned or loss)


class Alarm(IntEnum):
    """What there is to tell of an alarm that was set."""

    NOTHING = 0
    BEGAN = 1
    GOES_ON = 2
    OVER = 3


class Inspection(Protocol):
    """Looks at a connection for an operator."""

    def jobs(self, queue: str, state: JobState, limit: int = 50, skip: int = 0) -> list[QueuedJob]:
        """Return jobs of a queue in one state: those ready or due first come first."""
        ...

    def locks(self) -> list[LockState]:
        """Return the locks of middleware that stand."""
        ...

    def spent(self, quota: Quota) -> Spent:
        """Return what jobs have used of a "rate" or a "moving" one; `ValueError` for others."""
        ...

    def danger(self) -> str:
        """Return why jobs are not safe in the server, "" when they are as far as can be told."""
        ...

    def alarm(self, name: str, *, on: bool, remind: float = 0.0) -> Alarm:
        """Set an alarm on or off; return what there is to tell, to one of all who ask at once."""
        ...


class Clock(Protocol):
    """Where all time comes from."""

    def now(self) -> datetime:
        """Return the instant as an aware UTC datetime."""
        ...

    def time(self) -> float:
        """Return seconds since the Unix epoch."""
        ...

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes backwards."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        ...


class Queue(Protocol):
    """The dispatch side of a connection. Every method may raise `BrokerUnavailable`."""

    @property
    def name(self) -> str:
        """The connection's name."""
        ...

    @property
    def config(self) -> ConnectionConfig:
        """The connection's settings."""
        ...

    @property
    def supports(self) -> frozenset[str]:
        """What the driver can do, out of `Capability`."""
        ...

    def push(self, message: Message) -> bool:
        """Store the job; False when its id is known already (`once`)."""
        ...

    def push_many(self, messages: Sequence[Message]) -> int:
        """Store the jobs in one round trip; return how many were new."""
        ...

    def size(self, queue: str) -> QueueSize:
        """Return the queue's counts."""
        ...

    def queues(self) -> list[str]:
        """Return the names of the queues that have or had jobs, sorted."""
        ...

    def clear(self, queue: str) -> int:
        """Remove the ready and delayed jobs; return how many there were."""
        ...

    def forget(self, job_id: JobId) -> bool:
        """Remove a waiting job; False when it is not waiting."""
        ...

    def knows(self, ids: Sequence[JobId]) -> set[JobId]:
        """Return those of the ids that are waiting, delayed, parked or reserved."""
        ...

    def pause(self, queue: str | None, reason: str = "", until: float | None = None) -> None:
        """Stop hand-outs of one queue or (None) of all; `until` is seconds since the epoch."""
        ...

    def resume(self, queue: str | None) -> None:
        """Undo `pause` for the same queue or (None) for the whole connection."""
        ...

    def paused(self) -> dict[str, str]:
        """Return paused queues with their reasons; the whole connection bears the name ""."""
        ...

    def check(self) -> None:
        """Raise `BrokerUnavailable` or `BrokerMisconfigured` when jobs would not be safe."""
        ...

    def close(self) -> None:
        """Give back sockets and files; the queue may be used again and reconnects then."""
        ...


class Locks(Protocol):
    """Locks owned by (holder, job id): they end with the holder's lease at the latest."""

    def acquire(self, key: str, owner: JobId, expire_after: float | None) -> bool:
        """Take the lock; True when it is the owner's now (also when it was before)."""
        ...

    def release(self, key: str, owner: JobId) -> bool:
        """Give the lock back and wake one job parked for it; False when it is another's."""
        ...


class Checkpoints(Protocol):
    """Notes about the jobs of one holder; they may be written from any thread."""

    def load(self, job_id: JobId) -> bytes | None:
        """Return where the job would go on, None when it begins anew."""
        ...

    def save(self, job_id: JobId, text: bytes) -> bool:
        """Replace that; False when the lease is lost and nothing was changed."""
        ...

    def report(self, job_id: JobId, text: bytes) -> bool:
        """Replace what others may read about how far the job is; False as in `save`."""
        ...

    def drop(self, job_id: JobId) -> None:
        """Forget where the job would go on: it has ended well."""
        ...


class Consumer(Protocol):
    """The child's side of a connection, one per child process. False means: lease lost."""

    @property
    def holder(self) -> str:
        """The identity under which this consumer reserves."""
        ...

    def turn(self, want: int, done: Sequence[JobId]) -> Turn:
        """Confirm the finished jobs and reserve up to `want`; raises `LeaseLost`."""
        ...

    def mark(self, done: JobId | None, started: JobId) -> bool | None:
        """Write down that one job is done and the next has started; nobody waits for it.

        True asks for a `give_back` of what has not started: others have a better right by now.
        """
        ...

    def ack(
        self,
        job: ReservedJob,
        outcome: Ending = "succeeded",
        chain: ChainEdit | None = None,
    ) -> bool:
        """Remove a job that has ended without failing; `chain` changes its chain before."""
        ...

    def processing(self, job: ReservedJob) -> bool:
        """Give back a claim that is held until processing; the job runs right after."""
        ...

    def release(
        self,
        job: ReservedJob,
        delay: float,
        *,
        attempts: int,
        exceptions: int,
        deaths: int | None = None,
    ) -> bool:
        """Give the job back for later, with these new absolute counters.

        Without `deaths` it has died as often as before.
        """
        ...

    def fail(self, job: ReservedJob) -> bool:
        """Remove a job that has failed; the failed store was written before."""
        ...

    def give_back(self, ids: Sequence[JobId]) -> None:
        """Return jobs that never started to the front of their queues, in order."""
        ...

    def park(self, job: ReservedJob, lock: str) -> bool:
        """Let the job wait for the lock, in order; False when the lock is free by now."""
        ...

    def wait_turn(self, job: ReservedJob, quotas: Sequence[Quota]) -> None:
        """Let the job wait, in order, until its quotas let it through; raises `LeaseLost`."""
        ...

    def wait(self, timeout: float, wakeup_fd: int) -> None:
        """Block until a job may be ready, `wakeup_fd` is readable or the time is over."""
        ...

    def leave(self) -> None:
        """Give back what was set aside for jobs to come: this consumer takes none for a while."""
        ...

    def locks(self) -> Locks:
        """Return the locks of this holder."""
        ...

    def limits(self) -> Limits:
        """Return the quotas, asked for this holder's jobs."""
        ...

    def checkpoints(self) -> Checkpoints | None:
        """Return the notes of this holder's jobs, None where the driver keeps none."""
        ...

    def close(self) -> None:
        """Give back the connection; what is held stays held until the holder is buried."""
        ...


class Orders(Protocol):
    """What a holder's parent is told to do, on a descriptor that it can poll."""

    def fileno(self) -> int:
        """Return what becomes readable with the next order; may raise `BrokerUnavailable`."""
        ...

    def take(self) -> CancelOrder | None:
        """Return the order that came, None when there was none after all; may raise so, too."""
        ...

    def close(self) -> None:
        """Give back the connection; the next use makes another."""
        ...


class Leases(Protocol):
    """The parent's side of a connection."""

    def open(self) -> str:
        """Register a new holder and return its token."""
        ...

    def renew(self, holder: str) -> float | None:
        """Return the seconds of lease counted from when the request was sent; None: lost."""
        ...

    def give_back(self, holder: str, ids: Sequence[JobId]) -> list[JobId]:
        """Return unstarted jobs of a holder to their queues; return which it still held."""
        ...

    def bury(self, holder: str, cause: Burial) -> list[ReservedJob]:
        """End a holder, requeue all it held, and return what was in flight."""
        ...

    def reap(self) -> tuple[int, float | None]:
        """Bury lapsed holders; return how many, and the seconds to the next expiry."""
        ...

    def orders(self, holder: str) -> Orders | None:
        """Return what waits for orders to a holder, None where the driver has none."""
        ...

    def payload(self, job_id: JobId) -> bytes | None:
        """Return the stored payload, None when the job is gone."""
        ...

    def close(self) -> None:
        """Give back the connection."""
        ...


class WorkableQueue(Queue, Protocol):
    """A connection that a worker process can serve."""

    def consumer(self, holder: str, queues: Sequence[str], *, force: bool = False) -> Consumer:
        """Return the child's side, working under a holder that `leases` opened.

        With `force` it serves paused queues, too.
        """
        ...

    def leases(self) -> Leases:
        """Return the parent's side, with a connection of its own."""
        ...


class UniqueQueue(Queue, Protocol):
    """A connection that takes claims: "unique". Its `push` honours them, too."""

    def push_unique(self, messages: Sequence[Message]) -> list[JobId]:
        """Store jobs that claim; return for each the id of the job that now stands for it.

        Its own id: it was stored, or waits as the successor of a running one. Another: it lost
        to that one, or was merged into it ("replace" and "keep_last").
        """
        ...

    def claims(self, *, orphans_only: bool = False) -> list[ClaimState]:
        """Return the claims that stand, sorted by key."""
        ...

    def free_claim(self, key: str) -> bool:
        """Take a claim from its owner, which runs on; False when there is none."""
        ...


class ChainingQueue(Queue, Protocol):
    """A connection that keeps chains: "chains"."""

    def start_chain(self, plan: ChainPlan) -> bool:
        """Store the chain and push its first link, all or nothing; False when it was started."""
        ...

    def chain(self, chain_id: ChainId) -> ChainState | None:
        """Return how a chain stands; None when it is unknown here or has ended long ago."""
        ...

    def transfers(self, limit: int = 100) -> list[Message | ChainPlan]:
        """Return what waits to be taken to the connection it names.

        A chain belongs to the connection of its first link; its `token` keeps it from being
        started twice. Messages bear `once` and a token.
        """
        ...

    def carried(self, taken: Sequence[Message | ChainPlan]) -> None:
        """Forget what was taken to where it belongs."""
        ...


class BatchingQueue(ChainingQueue, Protocol):
    """A connection that keeps batches: "batches"."""

    def start_batch(self, plan: BatchPlan) -> bool:
        """Store the batch and push its members, all or nothing; False when it was started."""
        ...

    def add_to_batch(self, batch_id: BatchId, members: Sequence[Message | ChainPlan]) -> int:
        """Add members to a batch; return how many jobs, 0 when it has ended or is unknown."""
        ...

    def cancel_batch(self, batch_id: BatchId) -> bool:
        """Let waiting members end unrun; False when it has ended or was cancelled before."""
        ...

    def forget_batch(self, batch_id: BatchId) -> bool:
        """Delete what is known of a batch; its jobs stay. False when it was not there."""
        ...

    def batch(self, batch_id: BatchId) -> BatchState | None:
        """Return how a batch stands."""
        ...

    def batches(self, after: BatchId | None = None, limit: int = 50) -> list[BatchState]:
        """Return the newest first; `after` is the id of the last one seen."""
        ...

    def failed_members(self, batch_id: BatchId) -> list[JobId]:
        """Return the members that have failed and were not retried, sorted."""
        ...


class Tracer(Protocol):
    """Follows jobs from dispatch to run; a manager has none unless one is installed."""

    def dispatching(
        self, job: str, connection: str, queue: str, job_id: JobId
    ) -> Mapping[str, str]:
        """Return what is to travel in the context of a job that is being dispatched."""
        ...

    def planning(self, kind: str, name: str) -> AbstractContextManager[Any]:
        """Return what is to surround the dispatch of a chain's or a batch's jobs."""
        ...

    def running(self, job: str, context: JobContext) -> AbstractContextManager[Any]:
        """Return what is to surround a run; it sees what the run raises and what it ordered."""
        ...


Context: TypeAlias = "Mapping[str, str]"
"""What travels beside a job's data: tenant, trace."""
