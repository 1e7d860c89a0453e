"""From what a job's run came to, to what becomes of the job: pure, without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

from onqueue.errors import (
    ManuallyFailed,
    MaxAttemptsExceeded,
    MemoryExceeded,
    RetryUntilPassed,
    TimeoutExceeded,
)
from onqueue.job_context import Order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onqueue.events import Outcome
    from onqueue.quotas import Quota

POISONOUS_DEATHS = 3
"""How many processes a job may kill before it is failed as poisoned."""


@dataclass(slots=True, frozen=True)
class Limits:
    """What bounds the attempts of a job. Times are seconds, `retry_until` is since the epoch.

    `tries` 0 is without limit, and with a `retry_until` it does not count at all.
    """

    tries: int = 1
    backoff: Sequence[float] = (0.0,)
    timeout: float = 60.0
    fail_on_timeout: bool = False
    max_exceptions: int = 0
    retry_until: float | None = None
    jitter: float = 0.0
    patience: float | None = None
    """Seconds a run may go on when its worker is to stop; None: to its end."""
    memory: float = 0.0
    """MiB its process may have; 0: no limit."""
    is_bounded: bool = False
    """Whether one of the two above is set."""


# ---- what a run came to ----


@dataclass(slots=True, frozen=True)
class Returned:
    """The pipeline returned; `handled` tells whether `handle` was reached."""

    handled: bool = True


@dataclass(slots=True, frozen=True)
class Raised:
    """The pipeline raised."""

    error: BaseException


@dataclass(slots=True, frozen=True)
class TimedOut:
    """The job ran longer than it may."""


@dataclass(slots=True, frozen=True)
class Interrupted:
    """The worker must end now, so the job was stopped in the middle."""


Result: TypeAlias = Returned | Raised | Order | TimedOut | Interrupted
"""An order is what the job or a middleware wished; it wins over what happened after it."""

# ---- what becomes of the job ----


@dataclass(slots=True, frozen=True)
class Done:
    """The job leaves the queue."""

    outcome: Outcome = "succeeded"


@dataclass(slots=True, frozen=True)
class Release:
    """The job goes back with a delay in seconds and these counters; deaths stay unless given."""

    outcome: Outcome
    delay: float
    attempts: int
    exceptions: int
    error: BaseException | None = None
    timed_out: bool = False
    deaths: int | None = None


@dataclass(slots=True, frozen=True)
class Park:
    """The job waits for a lock, or for quotas, its attempt not spent."""

    lock: str
    outcome: Outcome = "parked"
    quotas: tuple[Quota, ...] = ()


@dataclass(slots=True, frozen=True)
class Fail:
    """The job has failed for good, after so many attempts."""

    error: BaseException
    attempts: int
    outcome: Outcome = "failed"
    timed_out: bool = False


Decision: TypeAlias = Done | Release | Park | Fail

SUCCEEDED = Done()
SKIPPED = Done("skipped")
CANCELLED = Done("cancelled")
_ENDS = {"delete": SUCCEEDED, "skip": SKIPPED, "cancel": CANCELLED}


@dataclass(slots=True, frozen=True)
class Facts:
    """What a decision looks at besides the result.

    `attempts` and `exceptions` were spent before this run, `now` is seconds since the epoch,
    `luck` is between 0 and 1 and spreads delays.
    """

    job: str
    attempts: int
    exceptions: int
    now: float
    luck: float = 0.0


def decide(result: Result, limits: Limits, facts: Facts) -> Decision:
    """Return what becomes of a job whose run came to `result`."""
    match result:
        case Returned(handled):
            return SUCCEEDED if handled else SKIPPED
        case Order():
            return _as_ordered(result, limits, facts)
        case Interrupted():
            return Release("interrupted", 0.0, facts.attempts, facts.exceptions)
        case Raised(error):
            return _after_exception(error, limits, facts)
        case TimedOut():
            return after_timeout(limits, facts)


def _as_ordered(order: Order, limits: Limits, facts: Facts) -> Decision:
    match order.kind:
        case "delete" | "skip" | "cancel":
            return _ENDS[order.kind]
        case "release":
            return _released(order, limits, facts)
        case "snooze":
            # It has come to its end: deaths of earlier runs say nothing about this job any more.
            return Release("snoozed", order.delay, facts.attempts, facts.exceptions, deaths=0)
        case "park":
            return Park(order.lock, quotas=order.quotas)
        case "fail":
            error = order.error or ManuallyFailed(f"Job {facts.job!r} failed itself")
            return Fail(error, facts.attempts + 1)


def _released(order: Order, limits: Limits, facts: Facts) -> Release | Fail:
    spent = facts.attempts + 1
    if order.error is not None and _is_spent(limits, facts):
        return Fail(order.error, spent)
    return Release("released", order.delay, spent, facts.exceptions, order.error)


def after_timeout(limits: Limits, facts: Facts) -> Release | Fail:
    """Return what becomes of a job that ran too long, by itself stopped or killed."""
    spent = facts.attempts + 1
    error = TimeoutExceeded(facts.job, limits.timeout)
    if limits.fail_on_timeout or _is_spent(limits, facts):
        return Fail(error, spent, timed_out=True)
    delay = _backoff(limits, facts)
    return Release("released", delay, spent, facts.exceptions + 1, error, timed_out=True)


def after_memory(limits: Limits, facts: Facts) -> Release | Fail:
    """Return what becomes of a job whose process had to be killed for its memory."""
    return _after_exception(MemoryExceeded(facts.job, limits.memory), limits, facts)


def _after_exception(error: BaseException, limits: Limits, facts: Facts) -> Release | Fail:
    spent = facts.attempts + 1
    if _is_spent(limits, facts):
        return Fail(error, spent)
    return Release("released", _backoff(limits, facts), spent, facts.exceptions + 1, error)


def _is_spent(limits: Limits, facts: Facts) -> bool:
    """Tell whether this failed attempt was the last one allowed."""
    if 0 < limits.max_exceptions <= facts.exceptions + 1:
        return True
    if limits.retry_until is not None:
        return facts.now >= limits.retry_until
    return 0 < limits.tries <= facts.attempts + 1


def _backoff(limits: Limits, facts: Facts) -> float:
    """Return the delay before the next attempt: the last one repeats, jitter adds its share."""
    delay = limits.backoff[min(facts.attempts, len(limits.backoff) - 1)]
    return delay * (1 + limits.jitter * facts.luck)


def refusal(limits: Limits, facts: Facts) -> RetryUntilPassed | MaxAttemptsExceeded | None:
    """Return why a job may not be started any more, None when it may."""
    if limits.retry_until is not None:
        if facts.now > limits.retry_until:
            return RetryUntilPassed(facts.job, _as_text(limits.retry_until))
        return None
    if 0 < limits.tries <= facts.attempts:
        return MaxAttemptsExceeded(facts.job, facts.attempts, limits.tries)
    return None


def _as_text(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
