"""How each run of a job ends: what its loop tells the broker and the failed store."""

import json
from typing import Any

import pytest

from onqueue import Job
from onqueue.worker.shared import Exit
from support.child_loop import Bench, hearing, names
from support.loop_jobs import RUNS, Ask, Raise, Work


class BadHook(Job):
    def handle(self) -> None:
        raise ValueError("first")

    def failed(self, error: BaseException) -> None:
        raise RuntimeError("second")


class End(Job):
    kind: str

    def handle(self) -> None:
        kinds: dict[str, BaseException] = {
            "exit": SystemExit(3),
            "interrupt": KeyboardInterrupt(),
            "memory": MemoryError(),
            "recursion": RecursionError(),
        }
        raise kinds[self.kind]


def test_successes_are_confirmed_with_the_next_trip_and_marked_on_the_way(bench: Bench) -> None:
    first, second = bench.put(Work("a")), bench.put(Work("b"))
    bench.run()
    assert RUNS == ["a", "b"]
    assert bench.consumer.started == [first, second]
    assert bench.consumer.settled(first) == ("done",)
    assert bench.consumer.settled(second) == ("done",)


@pytest.mark.parametrize(
    ("job", "settled"),
    [
        (Ask("release", 5), ("release", 5, 3, 1)),
        (Ask("snooze", 5), ("release", 5, 2, 1, "0 deaths")),
        (Ask("delete"), ("done",)),
        (Ask("fail"), ("fail",)),
        (Raise(), ("fail",)),
        (Work(), ("done",)),
    ],
)
def test_each_end_is_settled_once_in_its_own_way(
    bench: Bench, job: Job, settled: tuple[Any, ...]
) -> None:
    """C46, C47."""
    job_id = bench.put(job, attempts=2, exceptions=1)
    bench.run(tries=9)
    assert bench.consumer.settled(job_id) == settled


@pytest.mark.parametrize("verb", ["release", "snooze", "delete", "fail"])
def test_an_order_wins_over_an_exception_that_comes_after_it(bench: Bench, verb: str) -> None:
    """C12."""
    plain, raising = bench.put(Ask(verb)), bench.put(Ask(verb, then_raise=True))
    bench.run()
    assert bench.consumer.settled(plain) == bench.consumer.settled(raising)
    assert [verb, verb] == RUNS


def test_an_exception_releases_with_the_backoff_of_this_attempt_until_tries_are_spent(
    bench: Bench,
) -> None:
    ids = [bench.put(Raise(), attempts=attempts) for attempts in range(3)]
    bench.run()
    settled = [bench.consumer.settled(job_id) for job_id in ids]
    assert settled == [("release", 10, 1, 1), ("release", 30, 2, 1), ("fail",)]
    assert RUNS == ["failed: no"]


def test_a_failed_job_is_in_the_store_before_the_broker_forgets_it(bench: Bench) -> None:
    """K49."""
    job_id = bench.put(Raise(), attempts=2, context={"tenant": "t1"})
    seen: list[int] = []
    fail = bench.consumer.fail

    def fail_later(job: Any) -> bool:
        seen.append(len(bench.failed.records))
        return fail(job)

    bench.consumer.fail = fail_later  # type: ignore[method-assign]
    bench.run()
    [record] = bench.failed.records
    assert seen == [1]
    assert (record.id, record.job, record.attempts) == (job_id, "Raise", 3)
    assert (record.error_type, record.error, record.tenant) == ("ValueError", "no", "t1")
    assert "raise ValueError" in record.traceback


def test_what_the_failed_hook_raises_is_reported_and_changes_nothing(bench: Bench) -> None:
    """K49."""
    job_id = bench.put(BadHook())
    with hearing() as heard:
        bench.run()
    assert bench.consumer.settled(job_id) == ("fail",)
    assert names(heard) == [
        "JobProcessing",
        "JobExceptionOccurred",
        "JobExceptionOccurred",
        "JobFailed",
        "JobAttempted",
    ]
    assert str(heard[2].error) == "second"
    assert str(heard[3].error) == "first"


@pytest.mark.parametrize("kind", ["exit", "interrupt", "memory", "recursion"])
def test_what_would_end_a_process_ends_only_the_attempt_and_the_child(
    bench: Bench, kind: str
) -> None:
    job_id = bench.put(End(kind))
    assert bench.run() == (Exit.RECYCLED, None)
    assert bench.consumer.settled(job_id) == ("fail",)


@pytest.mark.parametrize("verb", ["release", "snooze"])
@pytest.mark.parametrize("seconds", ["5", -1, None, float("nan"), float("inf")])
def test_a_span_that_is_none_is_the_jobs_own_error(bench: Bench, verb: str, seconds: Any) -> None:
    job_id = bench.put_payload(
        json.dumps(
            {"v": 1, "job": "Ask", "at": 0, "data": {"verb": verb, "seconds": seconds}}
        ).encode()
    )
    bench.run()
    assert bench.consumer.settled(job_id) == ("fail",)
    assert bench.failed.records[0].error_type == "JobDefinitionError"


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


class Mumble(Job):
    def handle(self) -> None:
        raise Unspeakable


def test_an_error_whose_message_ends_the_process_fails_its_job(bench: Bench) -> None:
    job_id = bench.put(Mumble())
    bench.run()
    assert bench.consumer.settled(job_id) == ("fail",)
    assert bench.failed.records[0].error == "(its message cannot be shown: SystemExit)"
