"""What every driver that takes claims must do ("unique"), however a job is stored or ends."""

from __future__ import annotations

from typing import Any

import pytest

from onqueue.contracts import (
    ONCE_WINDOW,
    Burial,
    Claim,
    Consumer,
    Leases,
    Message,
    ReservedJob,
    Tie,
    UniqueQueue,
    WorkableQueue,
)
from onqueue.testing.driver_contract import MakeQueue, message
from onqueue.testing.work_contract import BRIEF, WorkContract, eventually


def claiming(key: str = "Report:1", payload: bytes = b"{}", **more: Any) -> Message:
    """Return a message that claims a key; `claim` and `tie` hold what else is wanted of them."""
    claim = Claim(key, **more.pop("claim", {}))
    return message(payload, tie=Tie(claim=claim, **more.pop("tie", {})), **more)


class UniqueContract(WorkContract):
    """The dispatch side, the worker's side, and claims."""

    @pytest.fixture
    def unique(self, work: WorkableQueue) -> UniqueQueue:
        """The connection of the test, as one that takes claims."""
        if "unique" not in work.supports:
            pytest.skip(f"driver {work.config.driver!r} takes no claims")
        return work  # type: ignore[return-value]

    # ---- drop ----

    def test_a_second_job_with_the_same_claim_is_not_stored(self, unique: UniqueQueue) -> None:
        """K58, C58. It is told who stands for it; another key is another matter."""
        first, second, other = claiming(), claiming(), claiming("Report:2")
        assert unique.push_unique([first, second, other]) == [first.id, first.id, other.id]
        assert unique.size("default").ready == 2
        assert unique.push(second) is False
        assert unique.push_many([second, message()]) == 1

    def test_a_claim_tells_of_its_owner(self, unique: UniqueQueue) -> None:
        """Sorted by key, with the time at which it lapses at the latest."""
        first, second = claiming("b"), claiming("a")
        unique.push_unique([first, second])
        claims = unique.claims()
        assert [(one.key, one.owner) for one in claims] == [("a", second.id), ("b", first.id)]
        assert not any(one.orphaned for one in claims)
        assert unique.claims(orphans_only=True) == []

    def test_a_job_pushed_once_claims_once(self, unique: UniqueQueue) -> None:
        """A repeated push is no second job, also when the first has ended."""
        one = claiming(once=ONCE_WINDOW)
        assert unique.push(one) is True
        assert unique.push(one) is False
        unique.forget(one.id)
        assert unique.push(one) is False
        assert unique.claims() == []

    # ---- the end of a claim ----

    @pytest.mark.parametrize("end", ["ack", "turn", "fail", "skip", "forget", "clear"])
    def test_a_claim_ends_with_its_job(
        self, unique: UniqueQueue, consumer: Consumer, end: str
    ) -> None:
        """K60. By whatever road the job goes."""
        first, second = claiming(), claiming()
        unique.push_unique([first])
        self.end(unique, consumer, end)
        assert unique.claims() == []
        assert unique.push_unique([second]) == [second.id]

    def test_a_claim_stays_while_its_job_comes_again(
        self, unique: UniqueQueue, consumer: Consumer
    ) -> None:
        """K60. A release is no end."""
        first, second = claiming(), claiming()
        unique.push_unique([first])
        consumer.release(self.running(consumer), 60.0, attempts=1, exceptions=1)
        assert unique.push_unique([second]) == [first.id]

    def test_a_claim_stays_with_the_job_of_a_dead_holder(
        self, unique: UniqueQueue, consumer: Consumer, leases: Leases
    ) -> None:
        """The job is back, and so nobody else may stand for it."""
        first, second = claiming(), claiming()
        unique.push_unique([first])
        self.running(consumer)
        leases.bury(consumer.holder, Burial("death"))
        assert unique.push_unique([second]) == [first.id]

    def test_a_claim_ends_with_what_a_dead_holder_had_done(
        self, unique: UniqueQueue, consumer: Consumer, leases: Leases
    ) -> None:
        """Its burial is the job's end."""
        unique.push_unique([claiming("a"), claiming("b")])
        first, second = consumer.turn(2, []).jobs
        consumer.mark(None, first.id)
        consumer.mark(first.id, second.id)
        self.settle_marks(consumer)
        leases.bury(consumer.holder, Burial("death"))
        assert [claim.owner for claim in unique.claims()] == [second.id]

    def test_a_holder_without_its_lease_frees_nothing(
        self, unique: UniqueQueue, consumer: Consumer, leases: Leases
    ) -> None:
        """B1. Neither by an end nor before processing."""
        first = claiming(claim={"until_processing": True})
        unique.push_unique([first])
        job = self.running(consumer)
        leases.bury(consumer.holder, Burial("lapsed"))
        assert consumer.ack(job) is False
        assert consumer.processing(job) is False
        assert [claim.owner for claim in unique.claims()] == [first.id]

    def test_a_claim_lapses_after_its_lifetime(
        self, unique: UniqueQueue, consumer: Consumer
    ) -> None:
        """K62. The end of its first owner does not free what another has by then."""
        first, second, third = claiming(claim={"lifetime": BRIEF}), claiming(), claiming()
        unique.push_unique([first])
        job = self.running(consumer)
        assert eventually(lambda: unique.push_unique([second]) == [second.id])
        assert consumer.ack(job) is True
        assert unique.push_unique([third]) == [second.id]

    def test_a_claim_can_be_taken_from_its_owner(self, unique: UniqueQueue) -> None:
        """The job stays; whoever comes next may claim."""
        first, second = claiming(), claiming()
        unique.push_unique([first])
        assert unique.free_claim("Report:1") is True
        assert unique.free_claim("Report:1") is False
        assert unique.push_unique([second]) == [second.id]
        assert unique.size("default").ready == 2

    # ---- until processing ----

    def test_a_claim_until_processing_is_given_back_before_the_run(
        self, unique: UniqueQueue, consumer: Consumer
    ) -> None:
        """K61. The end of the run does not free what a newer job has claimed."""
        until = {"until_processing": True}
        first, second, third = (claiming(claim=until) for _ in range(3))
        unique.push_unique([first])
        job = self.running(consumer)
        assert unique.push_unique([second]) == [first.id]
        assert consumer.processing(job) is True
        assert unique.push_unique([second]) == [second.id]
        assert consumer.ack(job) is True
        assert unique.push_unique([third]) == [second.id]

    def test_a_retry_frees_no_claim_of_a_newer_job(
        self, unique: UniqueQueue, consumer: Consumer, other: Consumer
    ) -> None:
        """K61. The first gave its own back at its first run."""
        until = {"until_processing": True}
        first, second = claiming(claim=until), claiming(claim=until, delay=60)
        unique.push_unique([first])
        job = self.running(consumer)
        consumer.processing(job)
        unique.push_unique([second])
        consumer.release(job, 0.0, attempts=1, exceptions=1)
        (again,) = eventually(lambda: other.turn(1, []).jobs)
        assert other.processing(again) is True
        assert [claim.owner for claim in unique.claims()] == [second.id]

    def test_processing_changes_nothing_for_other_jobs(
        self, unique: UniqueQueue, consumer: Consumer
    ) -> None:
        """Neither for a plain one nor for one that keeps its claim to the end."""
        first = claiming()
        unique.push_many([message(), first])
        for job in consumer.turn(2, []).jobs:
            assert consumer.processing(job) is True
        assert [claim.owner for claim in unique.claims()] == [first.id]

    # ---- replace and keep_last ----

    def test_a_replacement_takes_the_place_of_a_waiting_job(
        self, unique: UniqueQueue, consumer: Consumer
    ) -> None:
        """B7. Place and id stay, the payload is the newer."""
        replace = {"on_conflict": "replace"}
        first, second = claiming(claim=replace), claiming(payload=b"new", claim=replace)
        unique.push_unique([first])
        unique.push(message(b"behind"))
        assert unique.push_unique([second]) == [first.id]
        assert [job.payload for job in consumer.turn(3, []).jobs] == [b"new", b"behind"]

    def test_the_replacement_of_a_running_job_runs_after_it(
        self, unique: UniqueQueue, consumer: Consumer, other: Consumer
    ) -> None:
        """B7. At most one, whose payload is the newest; it has the claim then."""
        replace = {"on_conflict": "replace"}
        first = claiming(claim=replace)
        second = claiming(payload=b"second", claim=replace)
        third = claiming(payload=b"third", claim=replace)
        unique.push_unique([first])
        job = self.running(consumer)
        assert unique.push_unique([second, third]) == [second.id, second.id]
        assert [claim.successor for claim in unique.claims()] == [second.id]
        assert other.turn(1, []).jobs == []
        consumer.ack(job)
        (after,) = eventually(lambda: other.turn(2, []).jobs)
        assert (after.id, after.payload) == (second.id, b"third")
        assert [claim.owner for claim in unique.claims()] == [second.id]
        assert other.ack(after) is True
        assert unique.claims() == []

    def test_a_reserved_job_that_went_back_is_replaced_in_its_place(
        self, unique: UniqueQueue, consumer: Consumer, other: Consumer
    ) -> None:
        """What nobody holds any more is waiting again."""
        replace = {"on_conflict": "replace"}
        first, second = claiming(claim=replace), claiming(payload=b"new", claim=replace)
        unique.push_unique([first])
        (job,) = consumer.turn(1, []).jobs
        consumer.give_back([job.id])
        assert unique.push_unique([second]) == [first.id]
        assert [job.payload for job in other.turn(2, []).jobs] == [b"new"]

    def test_keeping_the_last_puts_a_waiting_job_off_anew(
        self, unique: UniqueQueue, consumer: Consumer
    ) -> None:
        """C64. Id and claim stay; it is due a whole delay after the last dispatch."""
        keep: dict[str, Any] = {"on_conflict": "keep_last"}
        first = claiming(delay=0.3, claim=keep)
        second = claiming(payload=b"last", delay=60.0, claim=keep)
        unique.push_unique([first])
        assert unique.push_unique([second]) == [first.id]
        due = consumer.turn(1, []).next_due
        assert due is not None
        assert 50 < due <= 60

    def test_a_job_is_put_off_no_longer_than_its_lifetime(
        self, unique: UniqueQueue, consumer: Consumer
    ) -> None:
        """C64. Counted from the first dispatch."""
        keep: dict[str, Any] = {"on_conflict": "keep_last", "lifetime": 5.0}
        unique.push_unique([claiming(delay=1.0, claim=keep)])
        unique.push_unique([claiming(delay=60.0, claim=keep)])
        due = consumer.turn(1, []).next_due
        assert due is not None
        assert 3 < due <= 5

    # ---- orphans ----

    def test_reaping_frees_no_claim_whose_job_is_there(
        self, unique: UniqueQueue, leases: Leases
    ) -> None:
        """However often."""
        first = claiming()
        unique.push_unique([first])
        leases.reap()
        assert [claim.owner for claim in unique.claims()] == [first.id]

    # ---- fair ----

    def test_a_tie_is_told_with_the_job(
        self, make_queue: MakeQueue, unique: UniqueQueue, consumer: Consumer
    ) -> None:
        """A plain job has none."""
        del make_queue
        unique.push_many([message(), message(tie=Tie(fair="acme", weight=3))])
        plain, fair = sorted(consumer.turn(2, []).jobs, key=lambda job: job.tie)
        assert plain.tie == ""
        assert fair.tie != ""
        assert not plain.cancelled
        assert not fair.cancelled

    # ---- steps ----

    def end(self, unique: UniqueQueue, consumer: Consumer, how: str) -> None:
        """Let the one waiting job end."""
        if how == "clear":
            assert unique.clear("default") == 1
            return
        if how == "forget":
            assert unique.forget(unique.claims()[0].owner) is True
            return
        job = self.running(consumer)
        match how:
            case "ack":
                assert consumer.ack(job) is True
            case "turn":
                assert consumer.turn(0, [job.id]).refused == []
            case "fail":
                assert consumer.fail(job) is True
            case _:
                assert consumer.ack(job, "skipped") is True

    @staticmethod
    def running(consumer: Consumer) -> ReservedJob:
        """Reserve a job and mark it as started."""
        (job,) = consumer.turn(1, []).jobs
        consumer.mark(None, job.id)
        WorkContract.settle_marks(consumer)
        return job
