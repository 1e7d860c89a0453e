"""Log lines of events."""

import logging
from datetime import UTC, datetime

import pytest

from onqueue import Job, events
from onqueue.stores import FailedJob
from onqueue.telling import log_events
from onqueue.telling.logs import LEVELS


class Salute(Job):
    who: str = "secret"

    def handle(self) -> None: ...


RUN = ("redis", "mails", "id-1", "Salute", 2, {"tenant": "acme"})


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "onqueue.log")
    return caplog


def test_each_happening_is_a_line_with_its_fields(lines: pytest.LogCaptureFixture) -> None:
    """B19."""
    stop = log_events()
    try:
        events.tell(events.job_processed, events.JobProcessed(*RUN, "succeeded", 0.5))
    finally:
        stop()
    [record] = lines.records
    assert record.getMessage() == "job-processed"
    assert record.levelno == logging.INFO
    told = vars(record)
    assert (told["job"], told["job_id"], told["queue"]) == ("Salute", "id-1", "mails")
    assert (told["outcome"], told["duration"], told["attempts"]) == ("succeeded", 0.5, 2)
    assert told["context_tenant"] == "acme"


def test_an_error_is_told_by_its_type_and_text(lines: pytest.LogCaptureFixture) -> None:
    stop = log_events()
    try:
        events.tell(events.job_failed, events.JobFailed(*RUN, ValueError("no such guest")))
    finally:
        stop()
    [record] = lines.records
    told = vars(record)
    assert record.levelno == logging.ERROR
    assert (told["error_type"], told["error"]) == ("ValueError", "no such guest")


def test_arguments_and_payloads_are_never_logged(lines: pytest.LogCaptureFixture) -> None:
    failed = FailedJob(
        id="id-1",
        connection="redis",
        queue="mails",
        job="Salute",
        payload=b"secret",
        error_type="ValueError",
        error="",
        traceback="secret",
        attempts=1,
        failed_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    stop = log_events()
    try:
        events.tell(events.job_queued, events.JobQueued("redis", "mails", "id-1", Salute(), 0.0))
        events.tell(events.job_retry_requested, events.JobRetryRequested(failed))
        events.tell(events.batch_dispatched, events.BatchDispatched("redis", "b", "Import", 3))
    finally:
        stop()
    assert len(lines.records) == 3
    assert "secret" not in str([vars(record) for record in lines.records])


def test_nothing_listens_before_it_begins_and_after_it_ended() -> None:
    before = {signal.name: len(signal.receivers) for signal, _ in LEVELS}
    log_events()()
    assert {signal.name: len(signal.receivers) for signal, _ in LEVELS} == before
