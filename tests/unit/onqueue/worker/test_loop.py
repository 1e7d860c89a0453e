"""When the child's loop stops, and in which order its listeners hear of a job."""

import signal

import pytest

from onqueue import Job
from onqueue.worker.recipes import Recipe
from onqueue.worker.shared import Exit
from onqueue.worker.stopping import StopReason
from support.child_loop import Bench, hearing, names
from support.loop_jobs import RUNS, Ask, Raise, Work

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


def test_who_pauses_gives_back_first_what_was_set_aside_for_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[bool] = []

    def leave() -> None:
        left.append(bench.shared.should_pause)
        bench.shared.ask_to_stop()
        signal.raise_signal(signal.SIGUSR2)  # which ends the pause at once

    monkeypatch.setattr(bench.consumer, "leave", leave)
    before = signal.signal(signal.SIGUSR2, lambda *_: None)
    bench.shared.ask_to_pause(paused=True)
    try:
        bench.run(stop_when_empty=False)
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert left == [True, True]


def test_who_pauses_has_its_last_outcome_confirmed_first(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pause may last for hours, in which nobody is to wait for the outcome, or lose it."""
    _, second, third = (bench.put(Work(label)) for label in "abc")
    mark = bench.consumer.mark

    def pause(done: str | None, started: str) -> None:
        mark(done, started)
        if started == second:
            bench.shared.ask_to_pause(paused=True)
            bench.cutter.attention = True

    at_the_pause: list[tuple[object, ...]] = []

    def leave() -> None:
        at_the_pause.extend(bench.consumer.told)
        bench.shared.ask_to_stop()
        signal.raise_signal(signal.SIGUSR2)

    monkeypatch.setattr(bench.consumer, "mark", pause)
    monkeypatch.setattr(bench.consumer, "leave", leave)
    before = signal.signal(signal.SIGUSR2, lambda *_: None)
    try:
        bench.run(stop_when_empty=False)
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert RUNS == ["a", "b"]
    assert at_the_pause[:5][-2:] == [("give back", third), ("done", second)]


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
