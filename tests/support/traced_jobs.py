"""Jobs for traces, and a tracer that writes each span as a line of a file."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from onqueue import Job, QueueManager
from onqueue.telling.tracing import Tracing
from support.worker_jobs import append, note


class Lines(SpanExporter):
    """Writes spans to a file that several processes share."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            assert span.context is not None
            told = {"name": span.name, "trace": span.context.trace_id, "pid": os.getpid()}
            append(self._path, json.dumps(told) + "\n")
        return SpanExportResult.SUCCESS


def traced_manager(manager: QueueManager, path: str) -> None:
    """Have the manager's jobs traced to a file."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(Lines(path)))
    Tracing(provider).install(manager)


class Greet(Job):
    name = "Greet.traced"
    label: str

    def handle(self) -> None:
        note(self, "ran")


class Quiet(Job):
    name = "Quiet.traced"

    def handle(self) -> None:
        """Do nothing."""


class Refuse(Job):
    name = "Refuse.traced"

    def handle(self) -> None:
        msg = "no route to host"
        raise OSError(msg)
