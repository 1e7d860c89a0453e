"""What is decided before a job runs, and what its middleware, arguments and models do to it."""

from typing import Any

import pytest
import svcs

from onqueue import Job
from onqueue.errors import (
    JobPoisoned,
    MaxAttemptsExceeded,
    MissingModel,
    RetryUntilPassed,
    TimeoutExceeded,
    UnreadablePayload,
)
from support.child_loop import Bench, hearing
from support.loop_jobs import RUNS, Work

# ---- before the run ----


class Soon(Job):
    expires_in = 60

    def handle(self) -> None:
        RUNS.append("soon")


class Until(Job):
    retry_until = 60

    def handle(self) -> None:
        RUNS.append("until")


class Newer(Job):
    version = 2

    def handle(self) -> None:
        RUNS.append("newer")


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ({"deaths": 3, "doom": "timeout"}, JobPoisoned),
        ({"deaths": 2, "attempts": 1, "doom": "timeout"}, TimeoutExceeded),
        ({"attempts": 1}, MaxAttemptsExceeded),
    ],
)
def test_what_must_not_run_any_more_is_failed_unrun(
    bench: Bench, state: dict[str, Any], error: type[Exception]
) -> None:
    """K5."""
    job_id = bench.put(Work(), **state)
    bench.run()
    assert bench.consumer.settled(job_id) == ("fail",)
    assert bench.failed.records[0].error_type == error.__name__
    assert bench.failed.records[0].attempts == state.get("attempts", 0)
    assert RUNS == []
    assert bench.consumer.started == []


def test_an_expired_job_is_dropped_and_told_as_such(bench: Bench) -> None:
    job_id = bench.put(Soon())
    bench.clock.advance(61)
    with hearing() as heard:
        bench.run()
    assert bench.consumer.settled(job_id) == ("ack", "expired")
    assert [event.outcome for event in heard] == ["expired", "expired"]
    assert RUNS == []


def test_a_deadline_replaces_tries_and_is_the_last_chance(bench: Bench) -> None:
    """K4, K5."""
    in_time = bench.put(Until(), attempts=50)
    bench.run()
    late = bench.put(Until())
    bench.clock.advance(61)
    bench.run()
    assert bench.consumer.settled(in_time) == ("done",)
    assert bench.consumer.settled(late) == ("fail",)
    assert bench.failed.records[0].error_type == RetryUntilPassed.__name__


def test_a_job_that_this_code_does_not_know_waits_for_other_code(bench: Bench) -> None:
    """C52, B12."""
    unknown = bench.put_payload(b'{"v":1,"job":"Nobody","at":0}')
    newer_core = bench.put_payload(b'{"v":99,"job":"Work","at":0}')
    newer_job = bench.put_payload(b'{"v":1,"job":"Newer","at":0,"o":{"version":3}}')
    bench.run()
    assert bench.consumer.settled(unknown) == ("park", "unknown:Nobody")
    assert bench.consumer.settled(newer_core) == ("park", "unknown:Work | version 99, known is 1")
    assert bench.consumer.settled(newer_job) == ("park", "unknown:Newer | version 3, known is 2")
    assert bench.failed.records == []


@pytest.mark.parametrize(
    "payload", [b"", b"\xff\xfe", b"[]", b'{"v":1}', b'{"job":"Work"}', b"[" * 9999]
)
def test_bytes_that_are_no_job_are_failed_and_kept_for_a_person(
    bench: Bench, payload: bytes
) -> None:
    """K40."""
    job_id = bench.put_payload(payload)
    bench.run()
    assert bench.consumer.settled(job_id) == ("fail",)
    assert bench.failed.records[0].payload == payload
    assert bench.failed.records[0].error_type == UnreadablePayload.__name__


def test_data_that_does_not_fit_the_class_fails_without_further_tries(bench: Bench) -> None:
    job_id = bench.put_payload(b'{"v":1,"job":"Raise","at":0,"data":{"x":1},"o":{"tries":9}}')
    bench.run()
    assert bench.consumer.settled(job_id) == ("fail",)


# ---- middleware, injection, missing models ----


class Skipped(Job):
    def middleware(self) -> list[Any]:
        return [lambda _job, _next: RUNS.append("turned away")]

    def handle(self) -> None:
        RUNS.append("ran")


class Wrapped(Job):
    def middleware(self) -> list[Any]:
        def around(job: Job, inner: Any) -> None:
            RUNS.append("in")
            inner(job)
            RUNS.append("out")

        return [around]

    def handle(self) -> None:
        RUNS.append("ran")


class Store:
    """A dependency."""


class Injected(Job):
    def handle(self, store: Store) -> None:
        RUNS.append(type(store).__name__)


class Gone(Job):
    quietly: bool = False

    def __post_init__(self) -> None:
        raise MissingModel("User", 7)

    def handle(self) -> None:
        RUNS.append("ran")


class Alone(Job):
    def middleware(self) -> list[Any]:
        return [lambda job, _next: _park(job)]

    def handle(self) -> None:
        RUNS.append("ran")


def _park(job: Job) -> None:
    from onqueue.job_context import Order

    job.running().give(Order("park", lock="one"))


def test_a_middleware_that_does_not_go_on_skips_the_job(bench: Bench) -> None:
    """C48."""
    job_id = bench.put(Skipped())
    with hearing() as heard:
        bench.run()
    assert bench.consumer.settled(job_id) == ("ack", "skipped")
    assert [event.outcome for event in heard[1:]] == ["skipped", "skipped"]
    assert RUNS == ["turned away"]


def test_middleware_wraps_handle(bench: Bench) -> None:
    bench.put(Wrapped())
    bench.run()
    assert RUNS == ["in", "ran", "out"]


def test_dependencies_come_by_their_type_and_end_with_the_run() -> None:
    ended: list[str] = []
    registry = svcs.Registry()

    def make() -> Any:
        yield Store()
        ended.append("closed")

    registry.register_factory(Store, make)
    bench = Bench(services=registry)
    bench.put(Injected())
    bench.put(Injected())
    bench.run()
    assert RUNS == ["Store", "Store"]
    assert ended == ["closed", "closed"]


def test_a_parked_job_spends_nothing_and_goes_round_when_its_lock_is_free(bench: Bench) -> None:
    waiting = bench.put(Alone(), attempts=0)
    bench.run()
    bench.consumer.free_locks.add("one")
    free = bench.put(Alone(), attempts=0)
    bench.run()
    assert bench.consumer.settled(waiting) == ("park", "one")
    assert bench.consumer.settled(free) == ("release", 0.0, 0, 0)


@pytest.mark.parametrize(
    ("options", "settled"),
    [("", ("fail",)), (',"o":{"delete_when_missing_models":true}', ("ack", "skipped"))],
)
def test_a_missing_model_fails_at_once_or_is_dropped_quietly(
    bench: Bench, options: str, settled: tuple[str, ...]
) -> None:
    """C50."""
    job_id = bench.put_payload(f'{{"v":1,"job":"Gone","at":0{options}}}'.encode())
    bench.run(tries=5)
    assert bench.consumer.settled(job_id) == settled
