"""What an author writes: a class with fields, options and `handle`."""

from __future__ import annotations

from abc import ABC, ABCMeta
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast, dataclass_transform

from onqueue.checkpoint import checkpoint_of
from onqueue.errors import ManuallyFailed, NoCurrentManager, NotRunning
from onqueue.interactions import Interactions
from onqueue.job_class import check_class, forget_plans, wire_name
from onqueue.job_context import Order
from onqueue.options import OPTIONS, Seconds, check_option, checked_seconds
from onqueue.registry import register
from onqueue.upcasting import UpcasterT, register_step

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
    from typing import Self
    from uuid import UUID

    from onqueue.bus.batch import Batch, PendingBatch
    from onqueue.bus.planning import BatchSketch, ChainSketch
    from onqueue.bus.rehearsal import FakeBatch, Rehearsal
    from onqueue.checkpoint import Checkpoint, RunOnly
    from onqueue.contracts import JobId
    from onqueue.job_context import JobContext
    from onqueue.plans import BatchState, ChainId


class Dispatching(Protocol):
    """Where jobs go: the dispatcher, or a fake in tests."""

    def dispatch(self, job: Job) -> JobId:
        """Put one job on its queue and return its id."""
        ...

    def dispatch_many(self, jobs: Iterable[Job]) -> list[JobId]:
        """Put many jobs on their queues and return their ids, in order."""
        ...

    def dispatch_sync(self, job: Job) -> JobId:
        """Run the job here and now; raises what the job raises."""
        ...

    def dispatch_after_response(self, job: Job) -> JobId:
        """Run the job in this process when the response of the present request was sent."""
        ...

    def dispatch_chain(self, sketch: ChainSketch) -> ChainId:
        """Start a chain and return its id."""
        ...

    def dispatch_chain_sync(self, sketch: ChainSketch) -> ChainId:
        """Run a chain here and now; raises what its links raise."""
        ...

    def dispatch_batch(self, sketch: BatchSketch) -> tuple[str, BatchState]:
        """Start a batch; return its connection and how it stands."""
        ...

    def add_to_batch(
        self, connection: str, state: BatchState, members: Sequence[Job | ChainSketch]
    ) -> int:
        """Add members to a batch; return how many jobs."""
        ...


def _nowhere() -> Dispatching:
    raise NoCurrentManager


_dispatching: Callable[[], Dispatching] = _nowhere


def install_dispatching(find: Callable[[], Dispatching]) -> None:
    """Say where `job.dispatch()` leads; called once, by the bus."""
    global _dispatching  # noqa: PLW0603 - the one seam through which a job reaches upwards
    _dispatching = find


class Surroundings(Protocol):
    """What a running job reaches of its chain and its batch."""

    def batch(self, context: JobContext) -> Batch | None:
        """Return the batch of the run."""
        ...

    def link(
        self,
        context: JobContext,
        links: Sequence[Job | PendingBatch | Callable[..., object]],
        *,
        front: bool,
    ) -> None:
        """Note links for the run's chain."""
        ...

    def rehearsal(self) -> Rehearsal:
        """Return what stands in for both in a test."""
        ...


def _without_surroundings() -> Surroundings:
    raise NoCurrentManager


_surroundings: Callable[[], Surroundings] = _without_surroundings


def install_surroundings(find: Callable[[], Surroundings]) -> None:
    """Say how a job reaches its chain and its batch; called once, by the bus."""
    global _surroundings  # noqa: PLW0603 - as above
    _surroundings = find


class JobMeta(ABCMeta):
    """Notices options that are changed on a class after it was made."""

    def __setattr__(cls, name: str, value: object) -> None:
        """Set the attribute; what was computed from the options is computed anew."""
        if name in OPTIONS and not callable(value):
            check_option(cls.__qualname__, name, value)
        super().__setattr__(name, value)
        if not name.startswith("_"):
            forget_plans(cls)


@dataclass_transform(field_specifiers=(field,))
class Job(metaclass=JobMeta):
    """Work to be done later. Annotated names are its fields, plain attributes its options.

    An option may be a method of the same name where it depends on the instance.
    """

    if TYPE_CHECKING:
        # Not annotated, so that a checker takes a method of the same name for an override.
        name: ClassVar[str]
        """The name on the wire: the class's own unless its body says otherwise."""
        # No annotations: a checker would take a method of the same name for a clash with a field.
        connection = cast("str | Callable[..., str]", None)
        queue = cast("str | Callable[..., str]", None)
        default_delay = cast("Seconds | Callable[..., Seconds]", None)
        wait_for_commit = cast("bool | Callable[..., bool]", None)
        tries = cast("int | Callable[..., int]", None)
        timeout = cast("Seconds | Callable[..., Seconds]", None)
        fail_on_timeout = cast("bool | Callable[..., bool]", None)
        max_exceptions = cast("int | Callable[..., int]", None)
        backoff = cast(
            "Seconds | Sequence[Seconds] | Callable[..., Seconds | Sequence[Seconds]]", None
        )
        retry_until = cast("datetime | Seconds | Callable[..., datetime | Seconds]", None)
        jitter = cast("float | Callable[..., float]", None)
        delete_when_missing_models = cast("bool | Callable[..., bool]", None)
        unique = cast("bool | Callable[..., bool]", None)
        unique_id = cast("str | int | UUID | Callable[..., str | int | UUID]", None)
        unique_for = cast("Seconds | Callable[..., Seconds]", None)
        unique_until_processing = cast("bool | Callable[..., bool]", None)
        unique_on_conflict = cast("str | Callable[..., str]", None)
        fair_key = cast(
            "str | int | UUID | tuple[str | int | UUID, int]"
            " | Callable[..., str | int | UUID | tuple[str | int | UUID, int]]",
            None,
        )
        tags = cast("Sequence[str] | Callable[..., Sequence[str]]", None)
        display_name = cast("str | Callable[..., str]", None)
        version: ClassVar[int]
        expires_in = cast("Seconds | Callable[..., Seconds]", None)
        memory_limit = cast("float | Callable[..., float]", None)
        interruptible = cast("bool | Seconds | Callable[..., bool | Seconds]", None)
        durable = cast("bool | Callable[..., bool]", None)
        handle: Callable[..., Coroutine[Any, Any, None] | None]
        __dataclass_fields__: ClassVar[dict[str, Any]]

    _context: ClassVar[JobContext | None] = None

    def __init_subclass__(cls, *, abstract: bool = False, **rest: Any) -> None:
        """Check the class, make its constructor and register its name."""
        super().__init_subclass__(**rest)
        is_abstract = check_class(cls, Job, abstract=abstract or ABC in cls.__bases__)
        cls.name = wire_name(cls)
        if not is_abstract:
            register(cls.name, cls)

    # ---- what an author may write ----

    def middleware(self) -> Sequence[Callable[..., Any]]:
        """Return what wraps `handle`, outermost first."""
        return ()

    def interrupted(self, signal: int) -> None:
        """Hear that the worker is to end, while the job runs: set a flag, be quick.

        `signal` is the number of the signal it got, or SIGTERM where it has another reason. With
        threads it is called in another one than `handle`.
        """

    def failed(self, error: BaseException) -> None:
        """Hear that the job failed for good; runs on a fresh instance."""

    @classmethod
    def upcaster(cls, version: int) -> Callable[[UpcasterT], UpcasterT]:
        """Declare how data of a version is turned into that of the next: `@Resize.upcaster(1)`.

        The function gets the fields as they travelled and returns them as the next version wants
        them. Raises `JobDefinitionError` when the step leads nowhere or is there already.
        """

        def declare(step: UpcasterT) -> UpcasterT:
            register_step(cls, version, step)
            return step

        return declare

    # ---- where and when ----

    def on_connection(self, connection: str) -> Self:
        """Choose the connection for this job."""
        return self._override("connection", connection)

    def on_queue(self, queue: str) -> Self:
        """Choose the queue for this job."""
        return self._override("queue", queue)

    def delay(
        self,
        seconds: Seconds = 0,
        *,
        minutes: float = 0,
        hours: float = 0,
        until: datetime | None = None,
    ) -> Self:
        """Let the job wait for a span of time, or until an aware instant; a hundred years at most.

        Raises `JobDefinitionError` for a span that is none, `ValueError` for a naive instant. An
        instant too far away is refused when the job is dispatched.
        """
        if until is not None:
            if until.tzinfo is None:
                msg = f"delay(until=) needs a datetime with a time zone, not {until!r}"
                raise ValueError(msg)
            self.__dict__["_delay"] = until
            return self
        delay = checked_seconds("delay()", seconds)
        delay += 60 * checked_seconds("delay(minutes=)", minutes)
        delay += 3600 * checked_seconds("delay(hours=)", hours)
        self.__dict__["_delay"] = checked_seconds("delay()", delay)
        return self

    def without_delay(self) -> Self:
        """Drop any delay, the class's `default_delay` too."""
        self.__dict__["_delay"] = 0.0
        return self

    def after_commit(self) -> Self:
        """Hold the job back until the open transaction is committed."""
        return self._override("wait_for_commit", value=True)

    def before_commit(self) -> Self:
        """Dispatch at once, whatever transaction is open."""
        return self._override("wait_for_commit", value=False)

    def _override(self, option: str, value: object) -> Self:
        check_option(self.name, option, value)
        self.__dict__[option] = value
        return self

    # ---- dispatching ----

    def dispatch(self) -> JobId:
        """Put the job on its queue and return its id."""
        return _dispatching().dispatch(self)

    def dispatch_if(self, condition: object) -> JobId | None:
        """Dispatch when the condition holds; None when it does not."""
        return _dispatching().dispatch(self) if condition else None

    def dispatch_unless(self, condition: object) -> JobId | None:
        """Dispatch unless the condition holds; None when it does."""
        return None if condition else _dispatching().dispatch(self)

    def dispatch_sync(self) -> JobId:
        """Run the job here and now, through its middleware; raises what it raises."""
        return _dispatching().dispatch_sync(self)

    def dispatch_after_response(self) -> JobId:
        """Run the job in this process once the response was sent: no retry, lost in a crash."""
        return _dispatching().dispatch_after_response(self)

    # ---- inside a run ----

    def bind(self, context: JobContext) -> Self:
        """Tie the job to its run; the worker's business."""
        self.__dict__["_context"] = context
        return self

    def with_fake_queue_interactions(
        self,
        *,
        attempts: int = 1,
        context: Mapping[str, str] | None = None,
        notes: RunOnly | None = None,
    ) -> Interactions:
        """Bind the job to a run that never was, and return what a test may ask of that.

        With the `notes` of an earlier run its checkpoint is there again.
        """
        run = Interactions(
            _surroundings().rehearsal(), attempts=attempts, context=context, notes=notes
        )
        self.bind(run.context)
        return run

    def with_fake_batch(
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
        """Let the job be in a batch that is nowhere and stands like this; return the batch.

        Without an earlier `with_fake_queue_interactions` it begins such a run, too.
        """
        context = self._context or self.with_fake_queue_interactions().context
        rehearsal = _surroundings().rehearsal()
        context.surroundings = rehearsal
        return rehearsal.make_batch(
            total=total,
            pending=pending,
            failed=failed,
            name=name,
            allow_failures=allow_failures,
            cancelled=cancelled,
            finished=finished,
        )

    def running(self, what: str = "running") -> JobContext:
        """Return the run's context; raises `NotRunning` outside of one."""
        context = self._context
        if context is None:
            raise NotRunning(self.name, what)
        return context

    def release(self, seconds: Seconds = 0) -> None:
        """Give the job back to its queue for later; this attempt is spent."""
        delay = checked_seconds("release()", seconds)
        self.running("release").give(Order("release", delay=delay))

    def snooze(self, seconds: Seconds = 0) -> None:
        """Give the job back for later without spending an attempt."""
        delay = checked_seconds("snooze()", seconds)
        self.running("snooze").give(Order("snooze", delay=delay))

    def fail(self, error: BaseException | str | None = None) -> None:
        """End the job as failed, whatever tries it has left."""
        context = self.running("fail")
        if not isinstance(error, BaseException):
            error = ManuallyFailed(error or f"Job {self.name!r} failed itself")
        context.give(Order("fail", error=error))

    def delete(self) -> None:
        """End the job as done, whatever happens next in it."""
        self.running("delete").give(Order("delete"))

    def prepend_to_chain(self, *links: Job | PendingBatch | Callable[..., object]) -> None:
        """Let these run next, before the links that wait, should this run end well."""
        context = self.running("prepend_to_chain")
        (context.surroundings or _surroundings()).link(context, links, front=True)

    def append_to_chain(self, *links: Job | PendingBatch | Callable[..., object]) -> None:
        """Let these run after all links that wait, should this run end well."""
        context = self.running("append_to_chain")
        (context.surroundings or _surroundings()).link(context, links, front=False)

    def ensure_lease(self) -> None:
        """Raise `LeaseLost` when the run no longer counts; ask before an outside effect."""
        self.running("ensure_lease").ensure_lease()

    @property
    def checkpoint(self) -> Checkpoint:
        """Where the job would go on after an interruption; kept from attempt to attempt."""
        return checkpoint_of(self.running("checkpoint"))

    def report_progress(self, done: int, total: int | None = None, note: str = "") -> None:
        """Let a page read how far the job is, with `onqueue.progress_of`."""
        checkpoint_of(self.running("report_progress")).report(done, total, note)

    @property
    def batch(self) -> Batch | None:
        """The batch of the job, as it stands at this moment; None when it is in none."""
        context = self.running("batch")
        return (context.surroundings or _surroundings()).batch(context)

    @property
    def batching(self) -> bool:
        """Whether the job is in a batch that is neither cancelled nor finished."""
        batch = self.batch
        return batch is not None and not (batch.cancelled or batch.finished)

    @property
    def attempts(self) -> int:
        """How many runs were started, this one included."""
        return self.running("attempts").attempts

    @property
    def job_id(self) -> JobId:
        """The identity of the job, the same in every attempt."""
        return self.running("job_id").job_id

    @property
    def tenant(self) -> str | None:
        """The tenant for whom the job was dispatched."""
        return self.running("tenant").context.get("tenant")

    @property
    def cancelled(self) -> bool:
        """Whether the job was cancelled while it runs."""
        return self.running("cancelled").cancelled

    @property
    def should_stop(self) -> bool:
        """Whether the worker is to end: finish the item at hand, then `self.snooze(0)`."""
        return self.running("should_stop").should_stop

    @property
    def holds_lease(self) -> bool:
        """Whether the run still counts."""
        return self.running("holds_lease").holds_lease
