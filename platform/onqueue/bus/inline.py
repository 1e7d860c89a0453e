"""One attempt inside the dispatching process: what the sync driver and `dispatch_sync` do."""

from __future__ import annotations

import logging
from threading import Lock
from typing import TYPE_CHECKING

from onqueue import events
from onqueue.connections import install_inline_runner
from onqueue.errors import ManuallyFailed, MissingModel, NotWithSync
from onqueue.failed.describing import failed_job
from onqueue.injection import call_handle
from onqueue.job_context import JobContext
from onqueue.middleware.pipeline import run_pipeline
from onqueue.payload import decode

if TYPE_CHECKING:
    from onqueue.connections import QueueManager
    from onqueue.contracts import JobId, Message
    from onqueue.events import Outcome
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


def run_inline(manager: QueueManager, connection: str, message: Message) -> None:
    """Run one job to its outcome; raises what the job raises, after recording the failure."""
    run = _InlineRun(manager, connection, message)
    with manager.scope(run.envelope.context):
        run.go()


class _InlineRun:
    def __init__(self, manager: QueueManager, connection: str, message: Message) -> None:
        self._manager = manager
        self._message = message
        self.envelope: Envelope = decode(message.payload)
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
        )

    def go(self) -> None:
        if events.job_processing.receivers:
            events.tell(events.job_processing, events.JobProcessing(*self._head))
        try:
            has_run = self._attempt()
        except MissingModel as error:
            if not self.envelope.options.get("delete_when_missing_models"):
                self._fail(error)
                raise
            self._end("skipped")
        except Exception as error:
            self._tell_exception(error)
            self._fail(error)
            raise
        else:
            self._settle(has_run=has_run)

    def _attempt(self) -> bool:
        context = self._context
        job = self.envelope.restore().bind(context)
        try:
            return run_pipeline(job, job.middleware(), lambda inner: call_handle(inner, context))
        finally:
            context.close()

    def _settle(self, *, has_run: bool) -> None:
        order = self._context.order
        if order is None:
            self._end("succeeded" if has_run else "skipped")
            return
        match order.kind:
            case "delete":
                self._end("succeeded")
            case "skip":
                self._end("skipped")
            case "fail":
                self._fail(order.error or ManuallyFailed(f"Job {self.envelope.job!r} failed"))
            case "release" | "snooze" | "park":
                refusal = NotWithSync(
                    f"Job {self.envelope.job!r} asked for {order.kind!r}, but runs inside its "
                    "dispatcher and has no queue to go back to: use a connection with a worker"
                )
                self._fail(refusal)
                raise refusal

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
            events.tell(events.job_failed, events.JobFailed(*self._head, error))
        self._tell_attempted("failed", error)

    def _call_hook(self, error: BaseException) -> None:
        try:
            self.envelope.restore().bind(self._context).failed(error)
        except Exception:
            log.exception("failed() of job %r could not be called to its end", self.envelope.job)
        finally:
            self._context.close()

    def _end(self, outcome: Outcome) -> None:
        if events.job_processed.receivers:
            event = events.JobProcessed(*self._head, outcome, self._duration())
            events.tell(events.job_processed, event)
        self._tell_attempted(outcome, None)

    def _tell_exception(self, error: BaseException) -> None:
        if events.job_exception_occurred.receivers:
            event = events.JobExceptionOccurred(*self._head, error)
            events.tell(events.job_exception_occurred, event)

    def _tell_attempted(self, outcome: Outcome, error: BaseException | None) -> None:
        if events.job_attempted.receivers:
            event = events.JobAttempted(*self._head, outcome, self._duration(), error)
            events.tell(events.job_attempted, event)

    def _duration(self) -> float:
        return self._manager.clock.monotonic() - self._started


install_inline_runner(run_inline)
