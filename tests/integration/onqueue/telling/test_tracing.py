"""Spans from the dispatch to the run, through a real worker and through a chain."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import onqueue
from onqueue import Job, QueueManager
from onqueue.telling.tracing import Tracing
from support.traced_jobs import Greet, Quiet, Refuse, traced_manager
from support.worker_processes import App


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(spans: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider


@pytest.fixture
def manager(provider: TracerProvider) -> Iterator[QueueManager]:
    manager = QueueManager("sync", {"sync": {"driver": "sync"}})
    stop = Tracing(provider).install(manager)
    with onqueue.using(manager):
        yield manager
    stop()


@pytest.mark.usefixtures("manager")
def test_a_run_is_part_of_the_trace_of_its_dispatch(
    provider: TracerProvider, spans: InMemorySpanExporter
) -> None:
    """B19."""
    with trace.get_tracer("test", tracer_provider=provider).start_as_current_span("request"):
        job_id = Quiet().dispatch()
    by_name = {span.name: span for span in spans.get_finished_spans()}
    send, process, request = (
        by_name[name] for name in ("send default", "process default", "request")
    )
    assert send.context is not None
    assert process.parent is not None
    assert request.context is not None
    assert process.parent.span_id == send.context.span_id
    assert process.context is not None
    assert process.context.trace_id == request.context.trace_id
    assert process.attributes is not None
    assert process.attributes["messaging.message.id"] == job_id
    assert process.attributes["onqueue.job"] == "Quiet.traced"


@pytest.mark.usefixtures("manager")
def test_what_a_run_raises_is_in_its_span(spans: InMemorySpanExporter) -> None:
    with pytest.raises(OSError, match="no route"):
        Refuse().dispatch()
    by_name = {span.name: span for span in spans.get_finished_spans()}
    process = by_name["process default"]
    assert not process.status.is_ok
    assert [event.name for event in process.events] == ["exception"]


def test_without_a_tracer_nothing_travels(manager: QueueManager) -> None:
    manager.tracer = None
    manager.dispatcher = None

    class Peek(Job):
        def handle(self) -> None:
            assert "traceparent" not in self.running().context

    Peek().dispatch()


def test_one_trace_reaches_from_a_request_through_a_chain_in_a_worker(
    tmp_path: Path, redis_url: str
) -> None:
    """B19."""
    app = App(tmp_path, redis_url)
    written = tmp_path / "spans"
    with (tmp_path / "shop.py").open("a") as shop:
        shop.write(
            "from support.traced_jobs import traced_manager\n"
            f"traced_manager(queues, {str(written)!r})\n"
        )
    traced_manager(app.manager, str(written))
    try:
        onqueue.chain([Greet("ann"), Greet("bob")]).dispatch()
        app.work()
        app.wait_for("ran", times=2)
    finally:
        app.close()
    told = [json.loads(line) for line in written.read_text().splitlines()]
    assert len({one["trace"] for one in told}) == 1
    assert [one["name"] for one in told].count("process default") == 2
    assert {one["pid"] for one in told} - {os.getpid()}
