"""One attempt inside the dispatching process: what the sync driver and `dispatch_sync` do."""

from __future__ import annotations

import logging
from threading import Lock
from typing import TYPE_CHECKING, Literal

from onqueue import events
from onqueue.bus.inline_limits import inline_limits
from onqueue.connections import install_inline_runner
from onqueue.drivers.sync import End
from onqueue.errors import ManuallyFailed, MissingModel, NotWithSync, RunEnded
from onqueue.failed.describing import failed_job
from onqueue.injection import call_handle
from onqueue.job_context import JobContext, running
from onqueue.middleware.pipeline import run_pipeline
from onqueue.payload import decode

if TYPE_CHECKING:
    from collections.abc import Callable

    from onqueue.connections import QueueManager
    from onqueue.contracts import JobId, Message
    from onqueue.events import Outcome
    from onqueue.job import Job
    from onqueue.payload import Envelope

log = logging.getLogger("onqueue.bus")


class InlineLifeline:
    """A run inside its dispatcher lives as long as that: its lease cannot be lost."""

    holder = "inline"

    def holds_lease(self) -> bool:
        """Return True."""
        return True

    def should_stop(self) -> bool:
        """Return False: no worker is asked to end."""
        return False


class InlineLocks:
    """Locks among the threads of this process; a run gives them back when it ends."""

    def __init__(self) -> None:
        """Begin without any."""
        self._owners: dict[str, JobId] = {}
        self._guard = Lock()

    def acquire(self, key: str, owner: JobId, expire_after: float | None) -> bool:
        """Take the lock; `expire_after` has no meaning where nothing outlives its run."""
        del expire_after
        with self._guard:
            return self._owners.setdefault(key, owner) == owner

    def release(self, key: str, owner: JobId) -> bool:
        """Give the lock back; False when it is another's."""
        with self._guard:
            if self._owners.get(key) != owner:
                return False
            del self._owners[key]
            return True


_lifeline = InlineLifeline()
_locks = InlineLocks()


def run_inline(
    manager: QueueManager,
    connection: str,
    message: Message,
    *,
    about: str = "",
    starts: Callable[[], object] | None = None,
) -> End:
    """Run one job to its outcome, after recording a failure, and return how it ended.

    `about` is what a callback is about, `starts` is called right before `handle`.
    """
    run = _InlineRun(manager, connection, message, about, starts)
    try:
        with manager.scope(run.envelope.context):
            return run.go()
    except Exception as error:  # noqa: BLE001 - the caller raises it when all is accounted for
        return End("failed", raised=error)


class _InlineRun:
    def __init__(
        self,
        manager: QueueManager,
        connection: str,
        message: Message,
        about: str,
        starts: Callable[[], object] | None,
    ) -> None:
        self._manager = manager
        self._starts = starts
        self._message = message
        self.envelope: Envelope = decode(message.payload)
        self._options = self.envelope.options
        self._head = (
            connection,
            message.queue,
            message.id,
            self.envelope.job,
            1,
            self.envelope.context,
        )
        self._started = manager.clock.monotonic()
        self._context = JobContext(
            job_id=message.id,
            attempts=1,
            connection=connection,
            queue=message.queue,
            context=self.envelope.context,
            lifeline=_lifeline,
            locks=_locks,
            services=manager.services,
            keys=manager.keys,
            limits=inline_limits(manager),
        )
        self._context.tie = self.envelope.tie
        self._context.about = about

    def go(self) -> End:
        if events.job_processing.receivers:
            events.tell(
                events.job_processing, events.JobProcessing(*self._head, options=self._options)
            )
        try:
            has_run = self._attempt()
        except MissingModel as error:
            if not self.envelope.options.get("delete_when_missing_models"):
                self._fail(error)
                raise
            return self._end("skipped")
        except Exception as error:
            self._tell_exception(error)
            self._fail(error)
            raise
        return self._settle(has_run=has_run)

    def _attempt(self) -> bool:
        tracer = self._manager.tracer
        if tracer is None:
            return self._run()
        with tracer.running(self.envelope.job, self._context):
            return self._run()

    def _run(self) -> bool:
        context = self._context
        job = self.envelope.restore(self._manager.keys).bind(context)
        entered = running.set(context)
        try:
            return run_pipeline(job, job.middleware(), self._handle)
        except RunEnded:
            return True
        finally:
            running.reset(entered)
            context.close()

    def _handle(self, job: Job) -> None:
        if self._starts is not None:
            self._starts()
        call_handle(job, self._context)

    def _settle(self, *, has_run: bool) -> End:
        order = self._context.order
        if order is None:
            return self._end("succeeded" if has_run else "skipped")
        match order.kind:
            case "delete":
                return self._end("succeeded")
            case "skip":
                return self._end("skipped")
            case "fail":
                self._fail(order.error or ManuallyFailed(f"Job {self.envelope.job!r} failed"))
                return End("failed")
            case "cancel":
                self._end("cancelled")
                return End("cancelled")
            case "release" | "snooze" | "park":
                refusal = NotWithSync(
                    f"Job {self.envelope.job!r} asked for {order.kind!r}, but runs inside its "
                    "dispatcher and has no queue to go back to: use a connection with a worker"
                )
                # What a middleware swallowed to try again later is the cause, where there is none.
                error = order.error or refusal
                self._fail(error)
                raise error

    def _fail(self, error: BaseException) -> None:
        connection, queue, job_id, job, attempts, context = self._head
        self._manager.failed.record(
            failed_job(
                error,
                job_id=job_id,
                connection=connection,
                queue=queue,
                job=job,
                payload=self._message.payload,
                attempts=attempts,
                failed_at=self._manager.clock.now(),
                context=context,
            )
        )
        self._call_hook(error)
        if events.job_failed.receivers:
            events.tell(
                events.job_failed, events.JobFailed(*self._head, error, options=self._options)
            )
        self._tell_attempted("failed", error)

    def _call_hook(self, error: BaseException) -> None:
        try:
            self.envelope.restore(self._manager.keys).bind(self._context).failed(error)
        except Exception:
            log.exception("failed() of job %r could not be called to its end", self.envelope.job)
        finally:
            self._context.close()

    def _end(self, outcome: Literal["succeeded", "skipped", "cancelled"]) -> End:
        if events.job_processed.receivers:
            event = events.JobProcessed(
                *self._head, outcome, self._duration(), options=self._options
            )
            events.tell(events.job_processed, event)
        self._tell_attempted(outcome, None)
        return End(outcome, edit=self._context.edit)

    def _tell_exception(self, error: BaseException) -> None:
        if events.job_exception_occurred.receivers:
            event = events.JobExceptionOccurred(*self._head, error, options=self._options)
            events.tell(events.job_exception_occurred, event)

    def _tell_attempted(self, outcome: Outcome, error: BaseException | None) -> None:
        if events.job_attempted.receivers:
            event = events.JobAttempted(
                *self._head, outcome, self._duration(), error, options=self._options
            )
            events.tell(events.job_attempted, event)

    def _duration(self) -> float:
        return self._manager.clock.monotonic() - self._started


install_inline_runner(run_inline)
