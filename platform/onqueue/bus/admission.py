"""A job that has passed every check and is encoded, and what a dispatch asks about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from onqueue import events
from onqueue.bus.unique import claim_of
from onqueue.errors import UnsupportedByDriver
from onqueue.options import checked_seconds, seconds
from onqueue.payload import NO_KEYS, option
from onqueue.plans import Tie
from onqueue.stores import OutboxRecord

if TYPE_CHECKING:
    from onqueue.bus.home import Home
    from onqueue.contracts import JobId, Message, Queue
    from onqueue.job import Job
    from onqueue.keyring import Keyring

UNTIED = Tie()


@dataclass(slots=True, eq=False)
class Admission:
    """A job that may go, and how; `owner` is the job that has its unique lock, if it lost."""

    job: Job
    target: Queue
    message: Message
    due: float
    waits: bool
    is_durable: bool
    tenant: str | None
    owner: JobId = ""

    @property
    def standing(self) -> JobId:
        """The id under which the job is known: its own unless another one has its lock."""
        return self.owner or self.message.id

    def record(self) -> OutboxRecord:
        """Return what the outbox writes."""
        name = self.job.name
        return OutboxRecord(self.message, self.target.name, name, self.tenant, self.is_durable)


def delay_of(job: Job, now: float) -> float:
    """Return how long a job is to wait, in seconds from `now` (epoch seconds).

    Raises `JobDefinitionError` for an instant more than a hundred years away.
    """
    own = job.__dict__.get("_delay")
    if isinstance(own, datetime):
        return checked_seconds("delay(until=)", max(0.0, own.timestamp() - now))
    if own is not None:
        return cast("float", own)
    default: Any = option(job, "default_delay")
    return seconds(default) if default else 0.0


def needs(job: Job, target: Queue, capability: str, words: str) -> bool:
    """Tell whether the driver does it; False where jobs run at once or are thrown away."""
    if capability in target.supports:
        return True
    if target.supports & {"runs-inline", "discards"}:
        return False
    raise UnsupportedByDriver(type(job).__qualname__, target.name, target.config.driver, words)


def tie_of(job: Job, target: Queue, home: Home, keys: Keyring = NO_KEYS) -> Tie | None:
    """Return what hangs on the job besides its payload, None for a plain one."""
    claim = claim_of(job, keys)
    if claim is not None and not needs(job, target, "unique", "a unique lock"):
        claim = None
    fair, weight = _lane_of(job, target)
    tie = Tie(fair=fair, weight=weight, claim=claim, batch=home.batch, chain=home.chain)
    return tie if tie != UNTIED else None


def _lane_of(job: Job, target: Queue) -> tuple[str, int]:
    """Return the key of the job's fair lane ("" for none) and the lane's weight."""
    fair: Any = option(job, "fair_key")
    if fair is None or not needs(job, target, "fair", "fairness between keys"):
        return "", 1
    key, weight = fair if isinstance(fair, tuple) else (fair, 1)
    return str(key), weight


def owners_of(admissions: list[Admission]) -> dict[JobId, JobId]:
    """Return who has the locks of the jobs that lost theirs."""
    return {one.message.id: one.owner for one in admissions if one.owner}


def targets_of(admissions: list[Admission]) -> list[Queue]:
    """Return the connections the jobs go to, each once, in order."""
    return list({id(one.target): one.target for one in admissions}.values())


def has_listeners() -> bool:
    """Tell whether anybody wants to hear of single jobs that are dispatched."""
    return bool(events.job_queueing.receivers or events.job_queued.receivers)


def event_of(kind: type[events.JobQueueing], admission: Admission) -> events.JobQueueing:
    """Return what is told of a job that is (about to be) on its queue."""
    message = admission.message
    target = admission.target.name
    return kind(target, message.queue, message.id, admission.job, message.delay)
