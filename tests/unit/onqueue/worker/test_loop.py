"""What the child's loop does with each job, told by what the broker and the listeners hear.

One long file: it reads as the list of what can happen to a job in a child.
"""

import json
import signal
from typing import Any

import pytest
import svcs

from onqueue import Job
from onqueue.errors import (
    JobPoisoned,
    LeaseLost,
    MaxAttemptsExceeded,
    MissingModel,
    RetryUntilPassed,
    TimeoutExceeded,
    UnreadablePayload,
)
from onqueue.worker.recipes import Recipe
from onqueue.worker.settlement import Settlement
from onqueue.worker.shared import Exit
from onqueue.worker.stopping import StopReason
from support.child_loop import Bench, hearing, names

RUNS: list[str] = []


@pytest.fixture(autouse=True)
def _no_runs() -> None:
    RUNS.clear()


@pytest.fixture
def bench() -> Bench:
    return Bench()


class Work(Job):
    label: str = "a"

    def handle(self) -> None:
        RUNS.append(self.label)


class Ask(Job):
    """Does what it is told and goes on."""

    verb: str
    seconds: float = 0.0
    then_raise: bool = False

    def handle(self) -> None:
        match self.verb:
            case "release":
                self.release(self.seconds)
            case "snooze":
                self.snooze(self.seconds)
            case "delete":
                self.delete()
            case _:
                self.fail("by hand")
        RUNS.append(self.verb)
        if self.then_raise:
            raise ValueError("after all")


class Raise(Job):
    tries = 3
    backoff = (10, 30)

    def handle(self) -> None:
        raise ValueError("no")

    def failed(self, error: BaseException) -> None:
        RUNS.append(f"failed: {error}")


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


class LoseLease(Job):
    def handle(self) -> None:
        raise LeaseLost("h1", self.job_id)


# ---- outcomes ----


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
        (Ask("snooze", 5), ("release", 5, 2, 1)),
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


# ---- leases ----


def test_a_lost_lease_ends_the_child_and_nothing_is_told_or_stored(bench: Bench) -> None:
    bench.put(Work())
    bench.consumer.lost = True
    with hearing() as heard:
        assert bench.run() == (Exit.LEASE_LOST, None)
    assert heard == []


def test_an_outcome_that_was_refused_is_not_told_as_one(bench: Bench) -> None:
    bench.put(Raise())
    bench.consumer.refuse = True
    with hearing() as heard:
        bench.run()
    assert names(heard) == ["JobProcessing", "JobExceptionOccurred", "JobLeaseLost"]


def test_a_success_that_was_refused_is_not_told_as_one(bench: Bench) -> None:
    first, second = bench.put(Work()), bench.put(Work())
    bench.consumer.refused = {first}
    with hearing() as heard:
        bench.run()
    lost = [event.job_id for event in heard if type(event).__name__ == "JobLeaseLost"]
    processed = [event.job_id for event in heard if type(event).__name__ == "JobProcessed"]
    assert (lost, processed) == ([first], [second])


def test_a_job_that_finds_its_lease_gone_is_left_alone(bench: Bench) -> None:
    bench.put(LoseLease())
    assert bench.run() == (Exit.LEASE_LOST, None)
    assert [told[0] for told in bench.consumer.told] == ["mark"]
    assert bench.failed.records == []


def test_nothing_is_written_to_the_failed_store_without_a_lease(bench: Bench) -> None:
    bench.put(Raise(), attempts=2)
    bench.shared.vouch(-1)
    assert bench.run() == (Exit.LEASE_LOST, None)
    assert bench.failed.records == []


def test_a_broker_that_is_away_for_a_while_gets_the_outcome_when_it_is_back(bench: Bench) -> None:
    job_id = bench.put(Ask("release", 5))
    mark = bench.consumer.mark

    def go_away(done: str | None, started: str) -> None:
        mark(done, started)
        bench.consumer.away_for = 3

    bench.consumer.mark = go_away  # type: ignore[method-assign]
    bench.run()
    assert bench.consumer.settled(job_id) == ("release", 5, 1, 0)
    assert bench.clock.slept[:3] == [0.05, 0.1, 0.2]


def test_a_stop_while_the_broker_is_away_is_no_lost_lease(bench: Bench) -> None:
    bench.put(Work())
    bench.consumer.away_for = 1_000
    answer = bench.consumer._answer

    def stop() -> None:
        if bench.consumer.away_for == 990:
            bench.shared.ask_to_stop()
        answer()

    bench.consumer._answer = stop  # type: ignore[method-assign]
    assert bench.run(stop_when_empty=False) == (Exit.STOPPED, StopReason.INTERRUPTED)
    assert (RUNS, bench.consumer.away_for) == ([], 989)


def test_a_broker_that_stays_away_until_the_lease_is_over_is_told_as_the_cause(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.put(Raise())
    mark = bench.consumer.mark

    def go_away(done: str | None, started: str) -> None:
        mark(done, started)
        bench.consumer.away_for = 1_000
        bench.shared.vouch(bench.clock.monotonic() + 3)

    bench.consumer.mark = go_away  # type: ignore[method-assign]
    assert bench.run() == (Exit.LEASE_LOST, None)
    assert "broker away until the lease of holder h1 could not be trusted" in caplog.text


# ---- stores that are away ----


def test_a_failed_store_that_is_away_postpones_the_job_with_its_attempt_spent(
    bench: Bench,
) -> None:
    job_id = bench.put(Raise(), attempts=2)
    bench.failed.away_for = 5
    with hearing() as heard:
        bench.run()
    assert bench.consumer.settled(job_id) == ("release", 30.0, 3, 0)
    assert "JobFailed" not in names(heard)


def test_a_failed_store_that_comes_back_soon_costs_nothing(bench: Bench) -> None:
    job_id = bench.put(Raise(), attempts=2)
    bench.failed.away_for = 4
    bench.run()
    assert bench.consumer.settled(job_id) == ("fail",)
    assert len(bench.failed.records) == 1


class Precious(Job):
    durable = True
    fails: bool = False

    def handle(self) -> None:
        RUNS.append("precious")
        if self.fails:
            raise ValueError("no")


def test_a_durable_jobs_row_is_written_before_its_ack(bench: Bench) -> None:
    done, failed = bench.put(Precious()), bench.put(Precious(fails=True))
    bench.run()
    assert bench.outbox.outcomes == {done: "done", failed: "failed"}
    assert bench.consumer.settled(done) == ("ack",)
    assert bench.consumer.settled(failed) == ("fail",)


def test_a_durable_job_that_was_cancelled_closes_its_row(bench: Bench) -> None:
    job = bench.put(Precious(), cancelled=True)
    bench.run()
    assert bench.consumer.settled(job) == ("ack", "cancelled")
    assert bench.outbox.outcomes == {job: "done"}


def test_a_durable_job_that_was_done_is_acked_unrun(bench: Bench) -> None:
    job_id = bench.put(Precious())
    bench.outbox.outcomes[job_id] = "done"
    bench.run()
    assert RUNS == []
    assert bench.consumer.settled(job_id) == ("ack",)


def test_while_the_outbox_is_away_durable_jobs_wait_and_others_run(bench: Bench) -> None:
    plain, durable, last = bench.put(Work("a")), bench.put(Precious()), bench.put(Work("b"))
    bench.outbox.unreadable = True
    bench.run()
    assert RUNS == ["a", "b"]
    assert bench.consumer.settled(durable) == ("release", 30.0, 0, 0)
    assert bench.consumer.settled(plain) == bench.consumer.settled(last) == ("done",)


def test_what_succeeded_is_confirmed_before_a_fault_ends_the_child(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = bench.put(Work())
    bench.put(Precious())

    def break_down(*_: object) -> None:
        raise RuntimeError("a fault of the worker's own")

    monkeypatch.setattr(Settlement, "verdict_of_outbox", break_down)
    with pytest.raises(RuntimeError):
        bench.run()
    assert bench.consumer.settled(done) == ("done",)


def test_an_outbox_that_is_away_lets_the_job_come_again_unspent(bench: Bench) -> None:
    job_id = bench.put(Precious())
    bench.outbox.away_for = 9
    bench.run()
    assert bench.consumer.settled(job_id) == ("release", 30.0, 0, 0)


# ---- stopping ----


def test_the_loop_stops_after_its_jobs_and_never_reserves_more(bench: Bench) -> None:
    for label in "abcdef":
        bench.put(Work(label))
    ended = bench.run(stop_when_empty=False, max_jobs=4)
    assert ended == (Exit.STOPPED, StopReason.MAX_JOBS)
    assert RUNS == ["a", "b", "c", "d"]
    assert len(bench.consumer.ready) == 2


def test_a_worker_does_not_stop_as_empty_when_it_is_to_look_again_at_once(bench: Bench) -> None:
    bench.put(Work())
    bench.consumer.late, bench.consumer.ready = bench.consumer.ready, []
    bench.consumer.dues = [0.0]
    assert bench.run() == (Exit.STOPPED, StopReason.EMPTY)
    assert RUNS == ["a"]


def test_a_stop_in_the_middle_of_a_trip_gives_back_what_was_not_started(bench: Bench) -> None:
    for label in "abcdefgh":
        bench.put(Work(label))
    mark = bench.consumer.mark

    def stop(done: str | None, started: str) -> None:
        mark(done, started)
        if len(bench.consumer.started) == 4:
            bench.shared.ask_to_stop()
            bench.cutter.attention = True

    bench.consumer.mark = stop  # type: ignore[method-assign]
    ended = bench.run(stop_when_empty=False)
    given_back = [told[1:] for told in bench.consumer.told if told[0] == "give back"]
    assert ended == (Exit.STOPPED, StopReason.INTERRUPTED)
    assert RUNS == ["a", "b", "c", "d"]
    assert len(given_back[0]) + len(bench.consumer.ready) == 4


def test_the_child_leaves_when_it_has_grown_too_large(bench: Bench) -> None:
    assert bench.run(stop_when_empty=False, memory=1) == (Exit.STOPPED, StopReason.MEMORY)


def test_the_child_leaves_between_jobs_when_its_time_is_over(bench: Bench) -> None:
    class Dawdle(Job):
        def handle(self) -> None:
            bench.clock.advance(6)

    bench.put(Dawdle())
    bench.put(Dawdle())
    bench.put(Dawdle())
    ended = bench.run(stop_when_empty=False, max_time=10)
    assert ended == (Exit.STOPPED, StopReason.MAX_TIME)
    assert len(bench.consumer.ready) == 1


# ---- events ----

ORDERS = {
    "success": (Work(), ["JobProcessing", "JobProcessed", "JobAttempted"]),
    "release": (Ask("release"), ["JobProcessing", "JobReleased", "JobAttempted"]),
    "snooze": (Ask("snooze"), ["JobProcessing", "JobReleased", "JobAttempted"]),
    "delete": (Ask("delete"), ["JobProcessing", "JobProcessed", "JobAttempted"]),
    "fail": (Ask("fail"), ["JobProcessing", "JobFailed", "JobAttempted"]),
    "raise": (
        Raise(),
        ["JobProcessing", "JobExceptionOccurred", "JobReleased", "JobAttempted"],
    ),
}


@pytest.mark.parametrize("kind", ORDERS)
def test_events_come_in_one_order_with_one_terminal_event(bench: Bench, kind: str) -> None:
    """K11, C46, C47."""
    job, expected = ORDERS[kind]
    bench.put(job, context={"tenant": "t1"})
    with hearing() as heard:
        bench.run()
    assert names(heard) == expected
    assert {event.attempts for event in heard} == {1}
    assert {event.context["tenant"] for event in heard} == {"t1"}


class Overrun(Job):
    tries = 2

    def handle(self) -> None:
        signal.raise_signal(signal.SIGUSR1)


def test_a_timeout_is_told_before_the_release_and_costs_an_attempt(bench: Bench) -> None:
    from onqueue.errors import JobTimedOut
    from onqueue.worker.cutting import Cutter

    bench.cutter = Cutter(lambda: (bench.shared.slots[0].number, JobTimedOut(60)))
    before = signal.signal(signal.SIGUSR1, bench.cutter.on_signal)
    try:
        job_id = bench.put(Overrun())
        with hearing() as heard:
            assert bench.run() == (Exit.RECYCLED, None)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert names(heard) == [
        "JobProcessing",
        "JobExceptionOccurred",
        "JobTimedOut",
        "JobReleased",
        "JobAttempted",
    ]
    assert bench.consumer.settled(job_id) == ("release", 0.0, 1, 1)


def test_what_is_done_is_confirmed_before_a_job_that_may_be_slow(bench: Bench) -> None:
    class Unknown(Job):
        def handle(self) -> None:
            RUNS.append("unknown")

    ids = [bench.put(Work()) for _ in range(3)]
    late = bench.put(Unknown())
    bench.run()
    told = bench.consumer.told
    assert told.index(("done", *ids[1:])) < told.index(("mark", None, late))


def test_one_long_run_among_short_ones_lets_the_next_expect_a_short_one() -> None:
    recipe = Recipe(Work)
    expected = []
    for seconds in (0.001, 0.1, 0.001, 0.2, 0.3, 0.002):
        recipe.learn(seconds)
        expected.append(recipe.expected)
    assert expected == [0.001, 0.001, 0.001, 0.001, 0.2, 0.002]


@pytest.mark.parametrize(("seconds", "notices"), [(0.01, 0), (60.0, 1), (float("inf"), 1)])
def test_a_job_after_a_wait_wakes_the_parent_unless_that_looks_soon_by_itself(
    bench: Bench, seconds: float, notices: int
) -> None:
    bench.shared.look_next(bench.clock.monotonic() + seconds)
    bench.put(Work("a"))
    bench.put(Work("b"))
    bench.run()
    assert bench.notices == notices
