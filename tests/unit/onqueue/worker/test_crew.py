"""What the threads of a child do together: each job once, each limit exact, each cut for one."""

import threading
from collections import Counter
from typing import Any

import pytest

from onqueue import Job
from onqueue.clock import SystemClock
from onqueue.errors import BrokerUnavailable, JobTimedOut, LeaseLost
from onqueue.worker.cutting import ThreadCutter
from onqueue.worker.shared import Cut, Exit
from onqueue.worker.stopping import StopReason
from support.child_crew import CrewBench
from support.waiting import eventually

RUNS: list[str] = []
OWED: list[str] = []
MEETING = threading.Barrier(4, timeout=60)
GATE = threading.Event()

_clock = SystemClock()


@pytest.fixture(autouse=True)
def _fresh() -> None:
    RUNS.clear()
    OWED.clear()
    MEETING.reset()
    GATE.clear()


@pytest.fixture
def bench() -> CrewBench:
    return CrewBench(4)


def beside(act: Any) -> threading.Thread:
    """Do something in a thread of its own while the crew works."""
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


class Jot(Job):
    label: str = "a"

    def handle(self) -> None:
        RUNS.append(self.label)


class Owe(Job):
    """Leaves something that must be told before its thread begins another one."""

    def handle(self) -> None:
        own = threading.current_thread().name
        RUNS.append("late" if own in OWED else "told")
        _clock.sleep(0.001)
        OWED.append(own)


class Nap(Job):
    """Lets other threads run meanwhile."""

    name = "test_crew.nap"

    def handle(self) -> None:
        _clock.sleep(0.001)
        RUNS.append("nap")


class Meet(Job):
    """Ends when four of its kind run at the same moment."""

    def handle(self) -> None:
        MEETING.wait()


class AtGate(Job):
    """Waits in Python code, where an exception from outside finds it."""

    label: str

    def handle(self) -> None:
        RUNS.append(f"start {self.label}")
        while not GATE.is_set():
            _clock.sleep(0.002)
        RUNS.append(f"end {self.label}")


class RaiseInCrew(Job):
    tries = 3
    backoff = (10,)

    def handle(self) -> None:
        raise ValueError("no")


class LoseLeaseInCrew(Job):
    def handle(self) -> None:
        raise LeaseLost("h1", self.job_id)


class Exhaust(Job):
    def handle(self) -> None:
        raise MemoryError


def test_as_many_jobs_run_at_once_as_there_are_threads(bench: CrewBench) -> None:
    ids = [bench.put(Meet()) for _ in range(8)]
    assert bench.run() == (Exit.STOPPED, StopReason.EMPTY)
    assert {bench.consumer.settled(job_id)[0] for job_id in ids} == {"done"}
    assert bench.shared.finished == 8


def test_each_of_many_jobs_is_marked_run_and_confirmed_once(bench: CrewBench) -> None:
    ids = [bench.put(Jot(str(number))) for number in range(500)]
    assert bench.run() == (Exit.STOPPED, StopReason.EMPTY)
    confirmed = [job_id for told in bench.consumer.told if told[0] == "done" for job_id in told[1:]]
    assert sorted(confirmed) == sorted(bench.consumer.started) == ids
    assert Counter(RUNS) == Counter(map(str, range(500)))


def test_what_the_broker_is_owed_is_told_before_a_job_that_is_held_begins(
    bench: CrewBench,
) -> None:
    turn, bench.owed = bench.consumer.turn, OWED

    def take_along(want: int, done: Any) -> Any:
        OWED.clear()
        return turn(want, done)

    bench.consumer.turn = take_along  # type: ignore[method-assign]
    for _ in range(100):
        bench.put(Owe())
    assert bench.run() == (Exit.STOPPED, StopReason.EMPTY)
    assert (Counter(RUNS), OWED) == ({"told": 100}, [])


def test_while_a_thread_makes_a_trip_the_others_go_on_with_what_is_held(bench: CrewBench) -> None:
    for _ in range(300):
        bench.put(Nap())
    turn = bench.consumer.turn
    went_on: list[bool] = []

    def slowly(want: int, done: Any) -> Any:
        before, looks = len(RUNS), 0
        if bench.shared.unstarted:
            while len(RUNS) == before and looks < 200:
                _clock.sleep(0.001)
                looks += 1
            went_on.append(len(RUNS) > before)
        return turn(want, done)

    bench.consumer.turn = slowly  # type: ignore[method-assign]
    assert bench.run() == (Exit.STOPPED, StopReason.EMPTY)
    assert any(went_on)
    assert len(RUNS) == 300


@pytest.mark.parametrize(("limit", "ran"), [({"max_jobs": 5}, 5), ({"once": True}, 1)])
def test_a_limit_of_jobs_is_exact(bench: CrewBench, limit: dict[str, Any], ran: int) -> None:
    """K23, C17."""
    for number in range(40):
        bench.put(Jot(str(number)))
    ended = bench.run(stop_when_empty=False, **limit)
    assert ended == (Exit.STOPPED, StopReason.MAX_JOBS)
    assert len(RUNS) == ran
    assert len(bench.consumer.ready) == 40 - ran


def test_a_crew_does_not_stop_as_empty_while_a_job_that_ends_leaves_another(
    bench: CrewBench,
) -> None:
    """The job ends while a trip that brings nothing is on its way back."""
    bench.put(AtGate("0"))
    turn = bench.consumer.turn

    def late(want: int, done: Any) -> Any:
        found = turn(want, done)
        if want and not found.jobs and not GATE.is_set():
            eventually(lambda: RUNS == ["start 0"])
            GATE.set()
            eventually(lambda: bench.shared.finished == 1)
            bench.put(Jot("left behind"))
        return found

    bench.consumer.turn = late  # type: ignore[method-assign]
    assert bench.run() == (Exit.STOPPED, StopReason.EMPTY)
    assert RUNS == ["start 0", "end 0", "left behind"]


def test_a_crew_does_not_stop_as_empty_when_it_is_to_look_again_at_once(bench: CrewBench) -> None:
    bench.put(Jot("late"))
    bench.consumer.late, bench.consumer.ready = bench.consumer.ready, []
    bench.consumer.dues = [0.0]
    assert bench.run() == (Exit.STOPPED, StopReason.EMPTY)
    assert RUNS == ["late"]


def test_outcomes_besides_success_are_settled_once_for_each_job(bench: CrewBench) -> None:
    ids = [bench.put(RaiseInCrew(), attempts=number % 3) for number in range(30)]
    bench.run()
    settled = Counter(bench.consumer.settled(job_id)[0] for job_id in ids)
    assert settled == {"release": 20, "fail": 10}


def test_a_stop_lets_what_runs_end_and_gives_back_what_does_not(bench: CrewBench) -> None:
    ids = [bench.put(AtGate(str(number))) for number in range(4)]
    for number in range(6):
        bench.put(Jot(str(number)))

    def stop() -> None:
        eventually(lambda: len(RUNS) == 4)
        bench.stop()
        GATE.set()

    thread = beside(stop)
    assert bench.run(stop_when_empty=False) == (Exit.STOPPED, StopReason.INTERRUPTED)
    thread.join(5)
    assert [bench.consumer.settled(job_id) for job_id in ids] == [("done",)] * 4
    given_back = [told[1:] for told in bench.consumer.told if told[0] == "give back"]
    assert len(bench.consumer.started) + len(bench.consumer.ready) + sum(map(len, given_back)) == 10


def test_a_paused_crew_takes_no_job_until_it_goes_on(bench: CrewBench) -> None:
    """K21."""
    bench.put(Jot("a"))
    bench.shared.ask_to_pause(paused=True)

    def go_on() -> None:
        eventually(lambda: all(slot.phase == 1 for slot in bench.shared.slots))
        RUNS.append("resumed")
        bench.shared.ask_to_pause(paused=False)
        bench.wakeup.knock()

    thread = beside(go_on)
    bench.run()
    thread.join(5)
    assert RUNS == ["resumed", "a"]


def test_only_the_job_that_is_cut_hears_of_it_and_the_child_lives_on(bench: CrewBench) -> None:
    """C14."""
    ids = [bench.put(AtGate(str(number))) for number in range(4)]

    def cut() -> None:
        eventually(lambda: len(RUNS) == 4)
        bench.cut(ids[2], Cut.TIMEOUT)
        eventually(lambda: bench.shared.finished == 1)
        GATE.set()

    thread = beside(cut)
    assert bench.run() == (Exit.STOPPED, StopReason.EMPTY)
    thread.join(5)
    settled = [bench.consumer.settled(job_id)[0] for job_id in ids]
    assert settled == ["done", "done", "fail", "done"]
    assert bench.failed.records[0].error_type == "TimeoutExceeded"
    assert "end 2" not in RUNS


def test_an_interruption_spends_no_attempt(bench: CrewBench) -> None:
    """C20."""
    job_id = bench.put(AtGate("a"), attempts=1, exceptions=1)

    def cut() -> None:
        eventually(lambda: RUNS == ["start a"])
        bench.stop()
        bench.cut(job_id, Cut.INTERRUPT)

    thread = beside(cut)
    bench.run(tries=5)
    thread.join(5)
    assert bench.consumer.settled(job_id) == ("release", 0.0, 1, 1)


def test_a_lost_lease_in_one_thread_ends_the_child_at_once(bench: CrewBench) -> None:
    bench.put(AtGate("held up"))
    bench.put(LoseLeaseInCrew())
    bench.at_end = GATE.set
    assert bench.run() == (Exit.LEASE_LOST, None)
    assert bench.failed.records == []


def test_a_stop_while_the_broker_is_away_lets_what_runs_end(bench: CrewBench) -> None:
    """A thread that looks for more work finds no broker; the job in another is not its business."""
    job_id = bench.put(AtGate("runs on"))
    turn = bench.consumer.turn
    tries: list[int] = []

    def away(want: int, done: Any) -> Any:
        if RUNS and not GATE.is_set():
            tries.append(want)
            _clock.sleep(0.001)
            raise BrokerUnavailable("redis", "nowhere", "the test sent it away")
        return turn(want, done)

    def stop() -> None:
        eventually(lambda: tries != [])
        bench.stop()
        eventually(lambda: bench.at_work() == 1)
        GATE.set()

    bench.consumer.turn = away  # type: ignore[method-assign]
    thread = beside(stop)
    assert bench.run(stop_when_empty=False) == (Exit.STOPPED, StopReason.INTERRUPTED)
    thread.join(5)
    assert (RUNS[-1], bench.consumer.settled(job_id)) == ("end runs on", ("done",))


def test_after_what_leaves_a_process_unsound_it_is_replaced(bench: CrewBench) -> None:
    bench.put(Exhaust())
    assert bench.run(stop_when_empty=False) == (Exit.RECYCLED, None)


def test_a_job_is_recalled_by_the_parent_only_before_it_is_claimed(bench: CrewBench) -> None:
    for number in range(4):
        bench.put(AtGate(str(number)))
    turn = bench.consumer.turn
    recalled: list[str] = []

    def recall() -> None:
        eventually(lambda: len(RUNS) == 4)
        with bench.shared.lock:
            recalled.extend(bench.shared.recall())
        GATE.set()

    bench.consumer.turn = lambda want, done: turn(max(want, 10), done)  # type: ignore[method-assign]
    late = [bench.put(Jot(str(number))) for number in range(3)]
    thread = beside(recall)
    bench.run()
    thread.join(5)
    assert recalled == late
    assert len(bench.consumer.started) == 4


def test_a_cut_never_lands_outside_of_its_run() -> None:
    """The cut is sent at about the moment at which the run ends, many times over."""
    wanted: list[tuple[int, BaseException | None]] = [(0, None)]
    cutter = ThreadCutter(lambda: wanted[0])
    landed: list[str] = []
    strays: list[int] = []
    rounds = 400

    def run() -> None:
        for number in range(1, rounds + 1):
            try:
                try:
                    try:
                        cutter.expose(number)
                        wanted[0] = (number, JobTimedOut(1.5))
                        sum(range(number * 10))
                    finally:
                        cutter.cover()
                except JobTimedOut as error:
                    landed.append(str(error))
                sum(range(50))
            except JobTimedOut:
                strays.append(number)

    thread = beside(run)
    while thread.is_alive():
        cutter.strike()
        _clock.sleep(0.0001)
    assert strays == []
    assert set(landed) == {"The job ran longer than 1.5 s"}
