"""OpenTelemetry spans: one for each dispatch, one for each run, in one trace from end to end.

    Tracing().install(manager)

The trace travels in the job's context as W3C `traceparent` and `tracestate`, through outbox,
chains, batches and retries. Names and attributes are those of OpenTelemetry's semantic
conventions for messaging (opentelemetry.io/docs/specs/semconv/messaging/messaging-spans).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind, Status, StatusCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from onqueue.connections import QueueManager
    from onqueue.contracts import JobId
    from onqueue.job_context import JobContext

SYSTEM: Final = "onqueue"


class Tracing:
    """Writes spans with a tracer of its own."""

    def __init__(self, provider: trace.TracerProvider | None = None) -> None:
        """Use a provider; without one, the process's."""
        self._tracer = trace.get_tracer("onqueue", tracer_provider=provider)

    def install(self, manager: QueueManager) -> Callable[[], None]:
        """Follow the manager's jobs from now on; return what ends it.

        To be called before the first dispatch of the process and before its worker starts.
        """
        manager.tracer = self
        manager.dispatcher = None

        def stop() -> None:
            manager.tracer = None
            manager.dispatcher = None

        return stop

    def dispatching(
        self, job: str, connection: str, queue: str, job_id: JobId
    ) -> Mapping[str, str]:
        """Write the span of a dispatch and return the trace as it travels."""
        attributes = _attributes(job, connection, queue, job_id, "send")
        carrier: dict[str, str] = {}
        with self._tracer.start_as_current_span(
            f"send {queue}", kind=SpanKind.PRODUCER, attributes=attributes
        ):
            propagate.inject(carrier)
        return carrier

    @contextmanager
    def planning(self, kind: str, name: str) -> Iterator[None]:
        """Write the span of a chain or a batch, so that all of its jobs are in one trace."""
        told = f"dispatch {kind} {name}".rstrip()
        with self._tracer.start_as_current_span(told, attributes={"messaging.system": SYSTEM}):
            yield

    @contextmanager
    def running(self, job: str, context: JobContext) -> Iterator[None]:
        """Write the span of a run as a part of the trace that the job came with."""
        attributes = _attributes(job, context.connection, context.queue, context.job_id, "process")
        attributes["onqueue.job.attempt"] = context.attempts
        with self._tracer.start_as_current_span(
            f"process {context.queue}",
            context=propagate.extract(context.context),
            kind=SpanKind.CONSUMER,
            attributes=attributes,
        ) as span:
            yield
            order = context.order
            if order is not None:
                span.set_attribute("onqueue.job.order", order.kind)
                if order.error is not None:
                    span.record_exception(order.error)
                    span.set_status(Status(StatusCode.ERROR, str(order.error)))


def _attributes(
    job: str, connection: str, queue: str, job_id: JobId, operation: str
) -> dict[str, str | int]:
    return {
        "messaging.system": SYSTEM,
        "messaging.destination.name": queue,
        "messaging.message.id": job_id,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "onqueue.connection": connection,
        "onqueue.job": job,
    }
