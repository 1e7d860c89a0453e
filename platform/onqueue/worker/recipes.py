"""What is known of a job before its run: its class, its options, and what bounds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onqueue.injection import dependencies
from onqueue.job import Job
from onqueue.payload import Envelope, plan_of
from onqueue.worker.bounds import PATIENCE
from onqueue.worker.decision import Decision, Facts, Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from onqueue.contracts import ReservedJob
    from onqueue.job_context import JobContext
    from onqueue.worker.options import WorkerOptions


class Recipe:
    """What is worked out once for each job class, so that a run is short."""

    __slots__ = (
        "_last",
        "expected",
        "has_hook",
        "has_middleware",
        "hears_stop",
        "is_injected",
        "is_versioned",
        "plan",
        "restore",
    )

    def __init__(self, job_class: type[Job]) -> None:
        """Read the class; raises `JobDefinitionError` when `handle` cannot be understood."""
        self.plan = plan = plan_of(job_class)
        self.restore = plan.restore
        self.is_versioned = plan.version > 1
        self.has_middleware = job_class.middleware is not Job.middleware
        self.has_hook = job_class.failed is not Job.failed
        self.hears_stop = job_class.interrupted is not Job.interrupted
        self.is_injected = bool(dependencies(job_class))
        self.expected = self._last = float("inf")
        """Seconds a run takes; nobody knows before the first."""

    def learn(self, seconds: float) -> None:
        """Take in how long a run took.

        One that waited long, for a processor or for an answer, tells nothing of the next.
        """
        self.expected = min(seconds, self._last)
        self._last = seconds


@dataclass(slots=True)
class Attempt:
    """A reserved job that was read: what bounds it, and later how its run went.

    A `verdict` says what becomes of a job that must not run.
    """

    reserved: ReservedJob
    envelope: Envelope
    limits: Limits
    verdict: Decision | None = None
    recipe: Recipe | None = None
    context: JobContext | None = None
    error: BaseException | None = None
    recycle: bool = False
    listen: Callable[[Callable[[int], None]], None] | None = None
    """Takes what is to be called when the worker is to stop; None where nobody wants to hear."""
    starts: Callable[[], None] | None = None
    """What is to happen right before `handle`."""
    is_counted: bool = False
    """Whether a database counts it in its batch before the broker hears of its end."""

    @property
    def durable(self) -> bool:
        """Whether the job's row in the outbox lives until its outcome."""
        return bool(self.envelope.options.get("durable"))

    @property
    def ends_plainly(self) -> bool:
        """Whether a success leaves nothing to do but to tell the broker, with others."""
        if self.is_counted or (self.envelope.options and self.durable):
            return False
        context = self.context
        return context is None or not (context.checkpoint or context.edit or context.has_cancelled)

    def facts(self, now: float, luck: float = 0.0) -> Facts:
        """Return what a decision looks at; `now` is seconds since the epoch."""
        reserved = self.reserved
        return Facts(self.envelope.job, reserved.attempts, reserved.exceptions, now, luck)


def limits_of(options: dict[str, Any], defaults: WorkerOptions) -> Limits:
    """Return what bounds a job: its own options as they travelled, else the worker's."""
    if not options:
        return Limits(defaults.tries, defaults.backoff, defaults.timeout)
    get = options.get
    until = get("retry_until")
    patience, memory = _patience(get("interruptible")), get("memory_limit", 0.0)
    return Limits(
        tries=get("tries", defaults.tries),
        backoff=get("backoff") or defaults.backoff,
        timeout=get("timeout", defaults.timeout),
        fail_on_timeout=get("fail_on_timeout", False),
        max_exceptions=get("max_exceptions", 0),
        retry_until=until / 1000 if until is not None else None,
        jitter=get("jitter", 0.0),
        patience=patience,
        memory=memory,
        is_bounded=patience is not None or memory > 0,
    )


def _patience(interruptible: bool | float | None) -> float | None:  # noqa: FBT001 - an option
    """Return the seconds for which a run goes on when its worker is to stop; None: to its end."""
    if interruptible is None or interruptible is False:
        return None
    return PATIENCE if interruptible is True else interruptible
