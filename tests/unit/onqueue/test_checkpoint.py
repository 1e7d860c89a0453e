"""Checkpoints and progress of a run."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from onqueue import Job
from onqueue.checkpoint import Checkpoint, Progress, RunOnly
from onqueue.errors import BrokerUnavailable, CheckpointError, LeaseLost, RunEnded
from onqueue.interactions import FAKE_ID
from onqueue.testing import FakeClock


class Invite(Job):
    def handle(self) -> None: ...


class Notes(RunOnly):
    """Counts its saves, and can be away or refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.saves = 0
        self.is_away = self.is_stale = False

    def save(self, job_id: str, text: bytes) -> bool:
        if self.is_away:
            raise BrokerUnavailable("redis", "nowhere", "the test sent it away")
        self.saves += 1
        return not self.is_stale and super().save(job_id, text)


class Bench:
    """Runs of one job, one after the other, over the same notes."""

    def __init__(self) -> None:
        self.notes = Notes()
        self.clock = FakeClock()
        self.run()

    def run(self) -> None:
        """Begin the next run."""
        self.run_now = Invite().with_fake_queue_interactions()
        context = self.run_now.context
        self.checkpoint = Checkpoint(context, self.notes, self.clock)

    def saved(self) -> dict[str, Any]:
        """Return what is saved."""
        values: dict[str, Any] = json.loads(self.notes.checkpoints[FAKE_ID])
        return values


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_later_run_goes_on_where_the_worker_stopped(bench: Bench) -> None:
    """B10."""
    done = []

    def work() -> None:
        for row in bench.checkpoint.each(range(10)):
            done.append(row)
            if row == 3:
                bench.run_now.stop_worker()

    with pytest.raises(RunEnded):
        work()
    bench.run_now.assert_snoozed(0)
    assert done == [0, 1, 2, 3]
    bench.run()
    assert list(bench.checkpoint.each(range(10))) == [4, 5, 6, 7, 8, 9]
    bench.run()
    assert list(bench.checkpoint.each(range(10))) == []


def test_a_row_whose_work_raised_is_not_done(bench: Bench) -> None:
    def work() -> None:
        for row in bench.checkpoint.each(["a", "b", "c"]):
            if row == "b":
                raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - the bare error is what the work raised
        work()
    bench.run()
    assert next(bench.checkpoint.each(["a", "b", "c"])) == "b"


def test_any_rows_will_do(bench: Bench) -> None:
    def numbers() -> Iterator[int]:
        yield from range(5)

    def rest(done: int) -> list[int]:
        return list(range(done, 5))

    for row in bench.checkpoint.each(numbers(), key="a"):
        if row == 2:
            break
    for row in bench.checkpoint.each(rest, key="b"):
        if row == 3:
            break
    bench.run()
    assert list(bench.checkpoint.each(numbers(), key="a")) == [2, 3, 4]
    assert list(bench.checkpoint.each(rest, key="b")) == [3, 4]


def test_saves_are_half_a_second_apart(bench: Bench) -> None:
    for _ in bench.checkpoint.each(range(100)):
        bench.clock.advance(0.02)
    assert bench.notes.saves == 5
    assert bench.saved() == {"each:rows": 100}


def test_a_step_is_done_once_and_its_result_kept(bench: Bench) -> None:
    results = iter([41, 42])
    assert bench.checkpoint.step("reserve", lambda: next(results)) == 41
    bench.run()
    assert bench.checkpoint.step("reserve", lambda: next(results)) == 41
    assert next(results) == 42


def test_values_are_kept(bench: Bench) -> None:
    assert bench.checkpoint.get("cursor") is None
    bench.checkpoint.set("cursor", {"after": "x"})
    bench.run()
    assert bench.checkpoint.get("cursor") == {"after": "x"}


@pytest.mark.parametrize("value", [object(), (1, 2), {1: "a"}, float("nan")])
def test_what_json_cannot_hold_is_refused_by_name(bench: Bench, value: object) -> None:
    with pytest.raises(CheckpointError, match="cursor"):
        bench.checkpoint.set("cursor", value)
    with pytest.raises(CheckpointError, match="reserve"):
        bench.checkpoint.step("reserve", lambda: value)
    assert FAKE_ID not in bench.notes.checkpoints


def test_a_checkpoint_is_a_place_and_no_store(bench: Bench) -> None:
    with pytest.raises(CheckpointError, match="bytes"):
        bench.checkpoint.set("everything", "x" * 2_000_000)


def test_a_broker_that_is_away_delays_a_save(bench: Bench) -> None:
    bench.notes.is_away = True
    bench.checkpoint.set("cursor", 1)
    bench.notes.is_away = False
    bench.checkpoint.flush()
    assert bench.saved() == {"value:cursor": 1}


def test_a_lost_lease_ends_the_run_and_its_last_save_raises_nothing(bench: Bench) -> None:
    bench.notes.is_stale = True
    with pytest.raises(LeaseLost):
        bench.checkpoint.set("cursor", 1)
    bench.checkpoint.flush()


def test_what_ended_well_leaves_no_checkpoint(bench: Bench) -> None:
    bench.checkpoint.set("cursor", 1)
    bench.checkpoint.drop()
    assert FAKE_ID not in bench.notes.checkpoints


def test_a_cancelled_run_ends_between_two_rows(bench: Bench) -> None:
    done = []

    def work() -> None:
        for row in bench.checkpoint.each(range(10)):
            done.append(row)
            bench.run_now.cancel()

    with pytest.raises(RunEnded):
        work()
    assert done == [0]


def test_progress_is_reported_with_the_rows() -> None:
    job = Invite()
    run = job.with_fake_queue_interactions()
    for _ in job.checkpoint.each(["a", "b"]):
        pass
    assert run.progress is not None
    assert (run.progress.done, run.progress.total, run.progress.percent) == (2, 2, 100.0)


def test_progress_is_reported_by_hand() -> None:
    job = Invite()
    run = job.with_fake_queue_interactions()
    job.report_progress(1, 8, "rendering")
    assert run.progress is not None
    assert (run.progress.note, run.progress.percent) == ("rendering", 12.5)
    assert Progress(3).percent is None
    assert Progress(0, 0).percent == 100.0
