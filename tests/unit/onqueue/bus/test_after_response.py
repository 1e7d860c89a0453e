"""Jobs that run once the response was sent."""

import logging
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

import onqueue
from onqueue import Job, QueueManager
from onqueue.bus import AfterResponse, after_response
from onqueue.errors import UnserializableArgument
from onqueue.failed import MemoryFailedJobs
from onqueue.testing import queue_fake

SEEN: list[Any] = []


class Greet(Job):
    name = "after-response.greet"

    who: Any = "all"

    def middleware(self) -> list[Any]:
        def stage(job: Job, inner: Any) -> None:
            SEEN.append("middleware")
            inner(job)

        return [stage]

    def handle(self) -> None:
        if self.who == "nobody":
            raise ValueError("nobody to greet")
        if self.who == "chained":
            Greet("next").dispatch_after_response()
        SEEN.append((self.who, self.tenant))


@pytest.fixture
def store() -> MemoryFailedJobs:
    return MemoryFailedJobs()


@pytest.fixture(autouse=True)
def tenants(store: MemoryFailedJobs) -> Iterator[dict[str, str]]:
    SEEN.clear()
    context = {"tenant": "7"}
    manager = QueueManager(
        "null", {"null": {"driver": "null"}}, store, context=lambda: dict(context)
    )
    with onqueue.using(manager):
        yield context


def answering(*jobs: Job, body: Iterable[bytes] = (b"a", b"b")) -> Any:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        for job in jobs:
            assert len(job.dispatch_after_response()) == 32
        start_response("200 OK", [])
        SEEN.append("answered")
        return body

    return AfterResponse(app)({}, lambda *_: None)


def test_it_runs_in_this_process_after_the_server_has_closed_the_response() -> None:
    """K44."""
    response = answering(Greet("Ann"), Greet("Bob"))
    assert list(response) == [b"a", b"b"]
    assert SEEN == ["answered"]
    response.close()
    assert SEEN == ["answered", "middleware", ("Ann", "7"), "middleware", ("Bob", "7")]
    response.close()
    assert len(SEEN) == 5


def test_it_is_what_it_was_at_the_dispatch(tenants: dict[str, str]) -> None:
    """K44."""
    job = Greet(["Ann"])
    response = answering(job)
    job.who.append("Bob")
    tenants["tenant"] = "8"
    response.close()
    assert SEEN[-1] == (["Ann"], "7")


def test_outside_of_a_request_it_runs_at_once_and_raises() -> None:
    """K44."""
    Greet("Ann").dispatch_after_response()
    assert SEEN == ["middleware", ("Ann", "7")]
    with pytest.raises(ValueError, match="nobody to greet"):
        Greet("nobody").dispatch_after_response()


def test_what_one_raises_is_recorded_and_logged_and_stops_no_other(
    store: MemoryFailedJobs, caplog: pytest.LogCaptureFixture
) -> None:
    """K44."""
    response = answering(Greet("nobody"), Greet("Ann"))
    with caplog.at_level(logging.ERROR):
        response.close()
    assert SEEN[-1] == ("Ann", "7")
    assert "job 'after-response.greet' failed after the response" in caplog.text
    assert [record.error for record in store.all()] == ["nobody to greet"]


def test_what_cannot_travel_is_refused_at_the_dispatch() -> None:
    """K79."""
    with after_response(), pytest.raises(UnserializableArgument):
        Greet(object()).dispatch_after_response()


def test_one_that_is_dispatched_while_another_runs_runs_at_once() -> None:
    answering(Greet("chained")).close()
    assert SEEN[-2:] == [("next", "7"), ("chained", "7")]


def test_a_response_that_is_made_while_it_is_sent_may_dispatch_too() -> None:
    def streamed() -> Iterator[bytes]:
        try:
            yield b"a"
            Greet("Ann").dispatch_after_response()
            SEEN.append("streamed")
            yield b"b"
        finally:
            Greet("Bob").dispatch_after_response()

    response = answering(body=streamed())
    assert list(response) == [b"a", b"b"]
    assert SEEN == ["answered", "streamed"]
    response.close()
    assert [seen for seen in SEEN if isinstance(seen, tuple)] == [("Ann", "7"), ("Bob", "7")]


def test_an_answer_that_breaks_off_loses_no_job() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        Greet("Ann").dispatch_after_response()
        raise OSError("no answer")

    with pytest.raises(OSError, match="no answer"):
        AfterResponse(app)({}, None)
    assert SEEN[-1] == ("Ann", "7")


def test_requests_do_not_see_each_other_s_jobs() -> None:
    with after_response() as outer:
        Greet("Ann").dispatch_after_response()
        with after_response() as inner:
            Greet("Bob").dispatch_after_response()
        inner.run()
        assert SEEN[-1] == ("Bob", "7")
    outer.run()
    assert SEEN[-1] == ("Ann", "7")


def test_a_fake_keeps_it() -> None:
    with queue_fake() as queue:
        Greet("Ann").dispatch_after_response()
    queue.assert_pushed(Greet, lambda job: job.who == "Ann")
    assert SEEN == []
