"""What becomes of jobs when their lease is gone, and when the broker or a store is away."""

import pytest

from onqueue import Job
from onqueue.errors import (
    LeaseLost,
)
from onqueue.worker.settlement import Settlement
from onqueue.worker.shared import Exit
from onqueue.worker.stopping import StopReason
from support.child_loop import Bench, hearing, names
from support.loop_jobs import RUNS, Ask, Raise, Work


class LoseLease(Job):
    def handle(self) -> None:
        raise LeaseLost("h1", self.job_id)


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
