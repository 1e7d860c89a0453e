"""One run of one reserved job: the checks before it, and its way through middleware to `handle`."""

from __future__ import annotations

import logging
from asyncio import CancelledError
from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING, Any

from onqueue.coroutines import EventLoop, Flight
from onqueue.errors import (
    JobCancelled,
    JobInterrupted,
    JobPoisoned,
    JobTimedOut,
    KeyGone,
    LeaseLost,
    MemoryExceeded,
    MissingModel,
    NewerPayload,
    RunEnded,
    TimeoutExceeded,
    UnknownJob,
    UnreadablePayload,
    UpcasterMissing,
    is_beyond_retry,
)
from onqueue.injection import call_handle, finish
from onqueue.job import Job
from onqueue.job_context import JobContext, Order, running
from onqueue.middleware.pipeline import run_pipeline
from onqueue.payload import NO_KEYS, Envelope, decode
from onqueue.registry import job_class_of
from onqueue.worker.decision import (
    POISONOUS_DEATHS,
    Decision,
    Done,
    Fail,
    Interrupted,
    Park,
    Raised,
    Result,
    Returned,
    TimedOut,
    refusal,
)
from onqueue.worker.processes import end_copy, forks
from onqueue.worker.recipes import Attempt, Recipe, limits_of
from onqueue.worker.unknown import waiting_place

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from contextlib import AbstractContextManager

    import svcs

    from onqueue.contracts import Checkpoints, Clock, Locks, ReservedJob, Tracer
    from onqueue.job_context import Lifeline
    from onqueue.keyring import Keyring
    from onqueue.quotas import Limits as Quotas
    from onqueue.worker.cutting import Cutter
    from onqueue.worker.options import WorkerOptions

log = logging.getLogger("onqueue.worker")

RETURNED = Returned()
CANCELLED = Order("cancel")
_RECYCLING = (MemoryError, RecursionError, SystemExit, KeyboardInterrupt, GeneratorExit)
"""After these a process is not trusted with another job."""


class Attempts:
    """Reads and runs reserved jobs for one process."""

    def __init__(
        self,
        *,
        connection: str,
        options: WorkerOptions,
        clock: Clock,
        lifeline: Lifeline,
        cutter: Cutter,
        locks: Locks | None = None,
        limits: Quotas | None = None,
        services: svcs.Registry | None = None,
        scope: Callable[[Mapping[str, str]], AbstractContextManager[Any]] | None = None,
        keys: Keyring | None = None,
        checkpoints: Checkpoints | None = None,
        tracer: Tracer | None = None,
        is_cancelled: Callable[[int], bool] = lambda _: False,
        gives_up: Callable[[BaseException], bool] = is_beyond_retry,
        event_loop: EventLoop | None = None,
    ) -> None:
        """Know what every run of this process shares; `scope` re-enters a job's context.

        `gives_up` tells of what a job raised whether trying again is pointless.
        """
        self._connection = connection
        self._clock = clock
        self._lifeline = lifeline
        self._cutter = cutter
        self._locks = locks
        self._quotas = limits
        self._services = services
        self._scope = scope
        self._keys = keys
        self._checkpoints = checkpoints
        self._tracer = tracer
        self._is_cancelled = is_cancelled
        self._number = 0
        self._gives_up = gives_up
        self._event_loop = event_loop or EventLoop()
        self._options = options
        self._plain = limits_of({}, options)
        self._recipes: dict[str, Recipe] = {}

    # ---- before the run ----

    def prepare(self, reserved: ReservedJob) -> Attempt:
        """Return the job ready to run, or with the verdict on one that must not run.

        A job that only newer code knows is parked; bytes that are no job are failed.
        """
        try:
            envelope = decode(reserved.payload)
        except NewerPayload as error:
            return self._unreadable(reserved, Park(waiting_place(error.job, error)), error.job)
        except UnreadablePayload as error:
            return self._unreadable(reserved, Fail(error, reserved.attempts), "")
        options = envelope.options
        limits = limits_of(options, self._options) if options else self._plain
        attempt = Attempt(reserved, envelope, limits)
        if options or reserved.attempts or reserved.deaths or reserved.doom or reserved.cancelled:
            attempt.verdict = self._refuse(attempt)
        recipe = self._recipes.get(envelope.job)
        if recipe is None or options or recipe.is_versioned or envelope.sealed:
            recipe = self._look_up(attempt)
        attempt.recipe = recipe
        return attempt

    def _look_up(self, attempt: Attempt) -> Recipe | None:
        """Return the recipe for the job's class, the data opened and brought up to date.

        Sets the verdict on a job that this process does not know, or cannot open.
        """
        envelope = attempt.envelope
        name = envelope.job
        verdict: Decision
        try:
            recipe = self._recipes.get(name) or Recipe(job_class_of(name))
            self._recipes[name] = recipe
            envelope.open(recipe.plan, self._keys or NO_KEYS)
        except (UnknownJob, NewerPayload, UpcasterMissing, KeyGone) as error:
            log.warning("job %r is parked, id %s: %s", name, attempt.reserved.id, error)
            verdict = Park(waiting_place(name, error))
        except Exception as error:  # noqa: BLE001 - annotations and upcasters may hold anything
            verdict = Fail(error, attempt.reserved.attempts)
        else:
            return recipe
        attempt.verdict = attempt.verdict or verdict
        return None

    def _unreadable(self, reserved: ReservedJob, verdict: Decision, job: str) -> Attempt:
        blank = Envelope(0, job, 0.0, {}, {}, {})
        return Attempt(reserved, blank, self._plain, verdict=verdict)

    def _refuse(self, attempt: Attempt) -> Decision | None:
        reserved, envelope = attempt.reserved, attempt.envelope
        if reserved.cancelled or reserved.doom == "cancelled":
            return Done("cancelled")
        if reserved.deaths >= POISONOUS_DEATHS:
            return Fail(JobPoisoned(envelope.job, reserved.deaths), reserved.attempts)
        if reserved.doom:
            return Fail(self._doomed(attempt), reserved.attempts)
        now = self._clock.time()
        expires_in = envelope.options.get("expires_in")
        if expires_in is not None and now > envelope.at + expires_in:
            return Done("expired")
        refused = refusal(attempt.limits, attempt.facts(now))
        return None if refused is None else Fail(refused, reserved.attempts)

    @staticmethod
    def _doomed(attempt: Attempt) -> TimeoutExceeded | MemoryExceeded:
        """Return why the process of the job's last run had to be killed."""
        job, limits = attempt.envelope.job, attempt.limits
        if attempt.reserved.doom == "memory":
            return MemoryExceeded(job, limits.memory)
        return TimeoutExceeded(job, limits.timeout)

    # ---- the run ----

    def _drive(self, make: Callable[[], Awaitable[Any]]) -> Any:
        """Run a coroutine to its end on the child's event loop; a cut cancels its task."""
        cutter, flight = self._cutter, Flight(lambda: _unforked(make))
        try:
            with cutter.diverted(flight.cancel):
                return flight.fly(self._event_loop.get())
        except CancelledError:
            if cutter.fired is not None:
                raise cutter.fired from None
            raise

    def run(self, attempt: Attempt, number: int) -> Result:
        """Run the job and return what that came to; raises only `LeaseLost`.

        `number` tells this run from the others of the process, so that a cut meant for one
        never hits another.
        """
        cutter = self._cutter
        self._number = number
        result: Result = RETURNED
        try:
            try:
                cutter.expose(number)
                result = self._run(attempt)
            finally:
                cutter.cover()
        except LeaseLost:
            raise
        except RunEnded:
            result = RETURNED
        except BaseException as error:  # noqa: BLE001 - whatever a job raises has an outcome
            attempt.error = error
            result = self._result_of(attempt, error)
        context = attempt.context
        if context is None:
            return result
        if context.container is not None:
            attempt.error = _close(context) or attempt.error
        if context.checkpoint is not None:
            context.checkpoint.flush()
        if context.has_heard and result is RETURNED:
            result = CANCELLED
        return context.order or result

    def _run(self, attempt: Attempt) -> Result:
        recipe, reserved = attempt.recipe, attempt.reserved
        if recipe is None:
            msg = f"Job {reserved.id!r} was not checked before its run"
            raise RuntimeError(msg)
        attempt.context = context = self._context_of(attempt, reserved.attempts + 1)
        if recipe.hears_stop:
            attempt.listen = self._cutter.listen
        if self._tracer is None and (self._scope is None or not context.context):
            return _work(attempt, recipe, context)
        with ExitStack() as around:
            if self._scope is not None and context.context:
                around.enter_context(self._scope(context.context))
            if self._tracer is not None:
                around.enter_context(self._tracer.running(attempt.envelope.job, context))
            return _work(attempt, recipe, context)

    def _context_of(self, attempt: Attempt, attempts: int) -> JobContext:
        reserved = attempt.reserved
        context = JobContext(
            job_id=reserved.id,
            attempts=attempts,
            connection=self._connection,
            queue=reserved.queue,
            context=attempt.envelope.context,
            lifeline=self._lifeline,
            locks=self._locks,
            limits=self._quotas,
            services=self._services,
            keys=self._keys,
            checkpoints=self._checkpoints,
            clock=self._clock,
            drive=self._drive,
        )
        context.tie = attempt.envelope.tie
        number = self._number
        context.is_cancelled = lambda: self._is_cancelled(number)
        context.about = reserved.about
        return context

    def _result_of(self, attempt: Attempt, error: BaseException) -> Result:
        """Return what an escaped exception means; a cut stays one, whatever it became."""
        fired = self._cutter.fired
        is_tainted = fired is not None and self._cutter.taints
        attempt.recycle = is_tainted or isinstance(error, _RECYCLING)
        if isinstance(fired, JobTimedOut):
            return TimedOut()
        if isinstance(fired, JobInterrupted):
            return Interrupted()
        if isinstance(fired, JobCancelled):
            attempt.error = None
            return CANCELLED
        if isinstance(error, KeyGone):
            return Order("park", lock=waiting_place(attempt.envelope.job, error))
        if self._gives_up(error):
            return Order("fail", error=error)
        return Raised(error)

    def hear_failure(self, attempt: Attempt, error: BaseException, number: int) -> None:
        """Call `failed` on a fresh instance; raises what it raises."""
        recipe = attempt.recipe
        if recipe is None or not recipe.has_hook:
            return
        scope = nullcontext() if self._scope is None else self._scope(attempt.envelope.context)
        context = attempt.context or self._context_of(attempt, attempt.reserved.attempts)
        try:
            self._cutter.expose(number)
            with scope:
                recipe.restore(attempt.envelope.data).bind(context).failed(error)
        finally:
            self._cutter.cover()
            _close(context)


def _work(attempt: Attempt, recipe: Recipe, context: JobContext) -> Result:
    """Make the job again and run it; references are fetched inside the job's own context."""
    try:
        job = recipe.restore(attempt.envelope.data)
    except (MissingModel, UnreadablePayload) as error:
        return _unrestorable(attempt, error)
    job.__dict__["_context"] = context
    running.set(context)
    if attempt.listen is not None:
        attempt.listen(job.interrupted)
    starts = attempt.starts
    if recipe.has_middleware:
        stages = job.middleware()
        handled = run_pipeline(
            job, stages, lambda arrived: _handle(arrived, recipe, context, starts)
        )
        return RETURNED if handled else Returned(handled=False)
    _handle(job, recipe, context, starts)
    return RETURNED


def _handle(
    job: Job, recipe: Recipe, context: JobContext, starts: Callable[[], None] | None
) -> None:
    """Call `handle`; of a process that it forked, nothing gets past here."""
    before = forks.count
    try:
        if starts is not None:
            starts()
        if recipe.is_injected:
            call_handle(job, context)
        elif (result := job.handle()) is not None:
            finish(result, context)
    finally:
        if forks.count != before:
            end_copy()


async def _unforked(make: Callable[[], Awaitable[Any]]) -> Any:
    """Await what is made; of a process that it forked, nothing gets past here."""
    before = forks.count
    try:
        return await make()
    finally:
        if forks.count != before:
            end_copy()


def _unrestorable(attempt: Attempt, error: MissingModel | UnreadablePayload) -> Order:
    """Return the end of a job that cannot be made again: trying once more would not help."""
    quietly = attempt.envelope.options.get("delete_when_missing_models")
    if isinstance(error, MissingModel) and quietly:
        return Order("skip")
    attempt.error = error
    return Order("fail", error=error)


def _close(context: JobContext) -> BaseException | None:
    """End the run's services; what they raise is reported but changes no outcome."""
    try:
        context.close()
    except Exception as error:  # noqa: BLE001 - the job's outcome stands
        return error
    return None
