"""What every driver that keeps batches must do ("batches"): each member counts once, at its end.

Longer than other files: it is one list of what a batch is, with chains and batches inside it.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from onqueue.contracts import (
    BatchingQueue,
    BatchPlan,
    BatchState,
    Burial,
    ChainEdit,
    Consumer,
    Leases,
    Message,
    ReservedJob,
    Tie,
    WorkableQueue,
)
from onqueue.errors import ConfigurationError
from onqueue.testing.chain_contract import ChainContract, chain_of
from onqueue.testing.driver_contract import message
from onqueue.testing.unique_contract import claiming
from onqueue.testing.work_contract import eventually

KINDS = ("before", "progress", "then", "catch", "finally")
NEW_YEAR = datetime(2026, 1, 1, 12, tzinfo=UTC)


def batch_of(*members: Any, kinds: tuple[str, ...] = (), **more: Any) -> BatchPlan:
    """Return a batch with an id of its own; a number stands for so many plain members.

    Callbacks of the `kinds` are jobs of the queue "low" whose payload is their kind.
    """
    if len(members) == 1 and isinstance(members[0], int):
        members = tuple(message() for _ in range(members[0]))
    given: dict[str, Any] = {"name": "import", "created_at": NEW_YEAR, **more}
    callbacks: Any = {kind: [message(kind.encode(), queue="low")] for kind in kinds}
    return BatchPlan(secrets.token_hex(16), members=members, callbacks=callbacks, **given)


class BatchContract(ChainContract):
    """Claims, chains, and batches."""

    @pytest.fixture
    def batching(self, work: WorkableQueue) -> BatchingQueue:
        """The connection of the test, as one that keeps batches."""
        if "batches" not in work.supports:
            pytest.skip(f"driver {work.config.driver!r} keeps no batches")
        return work  # type: ignore[return-value]

    # ---- counting ----

    def test_a_batch_counts_how_its_members_end(
        self, batching: BatchingQueue, consumer: Consumer
    ) -> None:
        """C66, C70, B5. Whatever ends it is in exactly one of the counts."""
        plan = batch_of(6, allow_failures=True)
        assert batching.start_batch(plan) is True
        jobs = consumer.turn(6, []).jobs
        consumer.ack(jobs[0])
        consumer.turn(0, [jobs[1].id])
        consumer.fail(jobs[2])
        consumer.ack(jobs[3], "skipped")
        consumer.ack(jobs[4], "cancelled")
        assert self.counts(batching, plan) == {
            "total": 6,
            "pending": 1,
            "succeeded": 2,
            "failed": 1,
            "skipped": 1,
            "cancelled": 1,
            "broken": 0,
        }
        state = self.state_of(batching, plan)
        assert (state.processed, state.progress, state.finished_at) == (5, 83, None)
        consumer.ack(jobs[5], "expired")
        state = self.state_of(batching, plan)
        assert (state.skipped, state.processed, state.progress) == (2, 6, 100)
        assert state.finished_at is not None
        assert batching.failed_members(plan.id) == [jobs[2].id]

    def test_a_batch_is_told_as_it_was_planned(self, batching: BatchingQueue) -> None:
        """Name, time, context and whether it allows failures."""
        plan = batch_of(1, name="Größe", context={"tenant": "ü"}, allow_failures=True)
        batching.start_batch(plan)
        state = self.state_of(batching, plan)
        assert (state.id, state.name, state.created_at) == (plan.id, "Größe", NEW_YEAR)
        assert (state.context, state.allow_failures) == ({"tenant": "ü"}, True)
        assert (state.cancelled_at, state.finished_at, state.loading) == (None, None, False)
        assert batching.batch("f" * 32) is None

    def test_a_batch_is_started_once(self, batching: BatchingQueue) -> None:
        """The second time nothing is pushed."""
        plan = batch_of(2)
        assert [batching.start_batch(plan), batching.start_batch(plan)] == [True, False]
        assert batching.size("default").ready == 2

    def test_a_large_batch_is_loaded_to_its_last_member(
        self, batching: BatchingQueue, consumer: Consumer
    ) -> None:
        """In their order, though no step pushes more than about a hundred."""
        plan = batch_of(730)
        batching.start_batch(plan)
        assert self.state_of(batching, plan).loading is False
        ids = []
        while jobs := consumer.turn(100, []).jobs:
            ids += [job.id for job in jobs]
            consumer.turn(0, [job.id for job in jobs])
        assert ids == [one.id for one in plan.members]
        assert self.state_of(batching, plan).succeeded == 730

    def test_an_empty_batch_ends_at_once(self, batching: BatchingQueue, consumer: Consumer) -> None:
        """C72. With all its callbacks."""
        plan = batch_of(kinds=KINDS)
        batching.start_batch(plan)
        assert self.state_of(batching, plan).progress == 100
        assert self.called(consumer) == ["before", "finally", "then"]

    def test_a_member_counts_once_though_it_is_released_and_its_holder_dies(
        self, batching: BatchingQueue, consumer: Consumer, other: Consumer, leases: Leases
    ) -> None:
        """B1, B5. Only its end counts, and only from who holds it."""
        plan = batch_of(1)
        batching.start_batch(plan)
        consumer.release(self.running(consumer), 0.0, attempts=1, exceptions=1)
        job = self.running(consumer)
        leases.bury(consumer.holder, Burial("death"))
        assert consumer.ack(job) is False
        assert consumer.fail(job) is False
        assert self.state_of(batching, plan).pending == 1
        (again,) = eventually(lambda: other.turn(1, []).jobs)
        assert other.ack(again) is True
        assert other.ack(again) is False
        assert self.state_of(batching, plan).succeeded == 1

    @pytest.mark.parametrize("road", ["forget", "clear"])
    def test_a_member_that_is_taken_away_counts_as_cancelled(
        self, batching: BatchingQueue, consumer: Consumer, road: str
    ) -> None:
        """So that its batch ends all the same."""
        plan = batch_of(1, kinds=("then", "finally"))
        batching.start_batch(plan)
        if road == "forget":
            batching.forget(plan.members[0].id)
        else:
            batching.clear("default")
        assert self.state_of(batching, plan).cancelled == 1
        assert self.called(consumer) == ["finally"]

    def test_a_member_that_loses_its_claim_counts_as_skipped(
        self, batching: BatchingQueue, consumer: Consumer
    ) -> None:
        """C58, C59. Its batch ends all the same."""
        batching.push(claiming(delay=60.0))
        plan = batch_of(claiming(), message(), kinds=("then",))
        batching.start_batch(plan)
        assert self.counts(batching, plan)["skipped"] == 1
        consumer.ack(self.only_job(consumer))
        assert self.state_of(batching, plan).finished_at is not None
        assert self.called(consumer) == ["then"]

    # ---- callbacks ----

    def test_callbacks_are_jobs_that_are_pushed_when_their_moment_comes(
        self, batching: BatchingQueue, consumer: Consumer
    ) -> None:
        """C71, B6. Each once; those at the end are about the batch, progress about a member."""
        plan = batch_of(2, kinds=KINDS)
        batching.start_batch(plan)
        first, second = consumer.turn(2, []).jobs
        assert self.called(consumer) == ["before"]
        consumer.ack(first)
        (progress,) = consumer.turn(5, []).jobs
        assert (progress.payload, progress.about) == (b"progress", first.id)
        assert progress.id not in {one.id for one in plan.callbacks["progress"]}
        consumer.ack(progress)
        consumer.ack(second)
        ended = [job for _ in range(3) for job in consumer.turn(5, []).jobs]
        assert [(job.payload, job.about) for job in ended] == [
            (b"progress", second.id),
            (b"then", plan.id),
            (b"finally", plan.id),
        ]
        assert consumer.turn(5, []).jobs == []

    def test_the_first_failure_cancels_a_batch(
        self, batching: BatchingQueue, consumer: Consumer
    ) -> None:
        """C67. What waits is told to end unrun; catch is called once, then never."""
        plan = batch_of(4, kinds=KINDS)
        batching.start_batch(plan)
        first, second = consumer.turn(2, []).jobs
        consumer.fail(first)
        consumer.fail(second)
        state = self.state_of(batching, plan)
        assert state.cancelled_at is not None
        assert state.finished_at is None
        third, fourth = consumer.turn(2, []).jobs
        assert (third.cancelled, fourth.cancelled) == (True, True)
        consumer.ack(third, "cancelled")
        consumer.ack(fourth, "cancelled")
        assert self.called(consumer) == ["before", "catch", "finally"]
        assert self.counts(batching, plan)["cancelled"] == 2

    def test_a_batch_that_allows_failures_runs_to_its_end(
        self, batching: BatchingQueue, consumer: Consumer
    ) -> None:
        """K66, C66. Catch at the first failure, progress for each member, then at the end."""
        plan = batch_of(3, kinds=KINDS, allow_failures=True)
        batching.start_batch(plan)
        first, second, third = consumer.turn(3, []).jobs
        consumer.fail(first)
        consumer.fail(second)
        consumer.ack(third)
        state = self.state_of(batching, plan)
        assert (state.cancelled_at, state.failed, state.progress) == (None, 2, 100)
        assert self.called(consumer) == ["before", "catch", "finally", *["progress"] * 3, "then"]

    # ---- cancelling ----

    def test_a_cancelled_batch_ends_without_then(
        self, batching: BatchingQueue, consumer: Consumer
    ) -> None:
        """C57, C68. Also when its members skip themselves."""
        plan = batch_of(2, kinds=KINDS)
        batching.start_batch(plan)
        assert batching.cancel_batch(plan.id) is True
        assert batching.cancel_batch(plan.id) is False
        assert self.state_of(batching, plan).cancelled_at is not None
        for job in consumer.turn(2, []).jobs:
            assert job.cancelled is True
            consumer.ack(job, "skipped")
        assert self.called(consumer) == ["before", "finally"]
        assert batching.cancel_batch("f" * 32) is False

    def test_a_batch_that_has_ended_cannot_be_cancelled(
        self, batching: BatchingQueue, consumer: Consumer
    ) -> None:
        """It says so."""
        plan = batch_of(1)
        batching.start_batch(plan)
        consumer.ack(self.only_job(consumer))
        assert batching.cancel_batch(plan.id) is False
        assert self.state_of(batching, plan).cancelled_at is None

    # ---- retries ----

    def test_a_retried_member_is_no_failure_any_more(
        self, batching: BatchingQueue, consumer: Consumer
    ) -> None:
        """C70. It runs though its failure cancelled the batch, which then has gone well."""
        plan = batch_of(2, kinds=("then", "finally"))
        batching.start_batch(plan)
        first, second = consumer.turn(2, []).jobs
        consumer.ack(first)
        consumer.fail(second)
        assert self.called(consumer) == ["finally"]
        self.retry_member(batching, second, plan)
        state = self.state_of(batching, plan)
        assert (state.failed, state.pending, state.finished_at) == (0, 1, None)
        assert batching.failed_members(plan.id) == []
        again = self.only_job(consumer)
        assert again.cancelled is False
        consumer.ack(again)
        assert self.state_of(batching, plan).succeeded == 2
        assert self.called(consumer) == ["then"]

    def test_callbacks_come_once_however_often_members_are_retried(
        self, batching: BatchingQueue, consumer: Consumer
    ) -> None:
        """C69, C70."""
        plan = batch_of(1, kinds=("then", "catch", "finally"), allow_failures=True)
        batching.start_batch(plan)
        for _ in range(3):
            job = self.only_job(consumer)
            consumer.fail(job)
            if _ == 0:
                assert self.called(consumer) == ["catch", "finally", "then"]
            self.retry_member(batching, job, plan)
        consumer.ack(self.only_job(consumer))
        assert self.called(consumer) == []
        assert self.counts(batching, plan)["succeeded"] == 1

    # ---- chains in batches ----

    def test_each_link_of_a_chain_in_a_batch_counts(
        self, batching: BatchingQueue, consumer: Consumer
    ) -> None:
        """K72."""
        plan = batch_of(chain_of(3), message(), kinds=("then",))
        batching.start_batch(plan)
        assert self.counts(batching, plan)["total"] == 4
        assert len(consumer.turn(0, []).jobs) == 0
        for left in (3, 2, 1, 0):
            consumer.ack(consumer.turn(1, []).jobs[0])
            assert self.counts(batching, plan)["pending"] == left
        assert self.called(consumer) == ["then"]

    def test_a_broken_chain_in_a_batch_counts_what_never_ran(
        self, batching: BatchingQueue, consumer: Consumer
    ) -> None:
        """C69. So the batch ends."""
        plan = batch_of(chain_of(4), kinds=("then", "finally"), allow_failures=True)
        batching.start_batch(plan)
        consumer.ack(self.only_job(consumer))
        consumer.fail(self.only_job(consumer))
        counts = self.counts(batching, plan)
        assert (counts["succeeded"], counts["failed"], counts["broken"]) == (1, 1, 2)
        assert counts["pending"] == 0
        assert self.called(consumer) == ["finally", "then"]

    def test_retrying_the_failed_link_of_a_chain_in_a_batch_brings_the_rest_back(
        self, batching: BatchingQueue, consumer: Consumer
    ) -> None:
        """B5. Nothing of it is broken any more."""
        chain = chain_of(3)
        plan = batch_of(chain, kinds=("then", "finally"))
        batching.start_batch(plan)
        failed = self.only_job(consumer)
        consumer.fail(failed)
        assert self.called(consumer) == ["finally"]
        tie = Tie(batch=plan.id, chain=chain.id)
        batching.push(Message(failed.id, failed.queue, failed.payload, tie=tie))
        counts = self.counts(batching, plan)
        assert (counts["pending"], counts["failed"], counts["broken"]) == (3, 0, 0)
        for link in chain.links:
            job = self.only_job(consumer)
            assert job.id == link.id
            consumer.ack(job)
        assert self.called(consumer) == ["then"]

    def test_a_link_in_a_batch_adds_members_with_its_chain(
        self, batching: BatchingQueue, consumer: Consumer
    ) -> None:
        """Each of them counts."""
        plan = batch_of(chain_of(2), kinds=("then",))
        batching.start_batch(plan)
        job = self.only_job(consumer)
        consumer.ack(job, chain=ChainEdit([message()], [message(), message()]))
        counts = self.counts(batching, plan)
        assert (counts["total"], counts["pending"]) == (5, 4)
        for _ in range(4):
            assert self.called(consumer, "low") == []
            consumer.ack(self.only_job(consumer))
        assert self.called(consumer) == ["then"]

    def test_a_chain_in_a_batch_stays_on_its_connection(self, batching: BatchingQueue) -> None:
        """Nothing is started."""
        plan = batch_of(message(), chain_of(message(), message(connection="away")))
        with pytest.raises(ConfigurationError, match="'away'"):
            batching.start_batch(plan)
        assert batching.batch(plan.id) is None
        assert batching.size("default").total == 0

    # ---- batches in chains ----

    def test_a_chain_goes_on_when_its_batch_has_ended_well(
        self, batching: BatchingQueue, consumer: Consumer
    ) -> None:
        """The batch is started by the end of the link before it."""
        inner = batch_of(2, kinds=("then",))
        plan = chain_of(message(), inner, message())
        batching.start_chain(plan)
        assert batching.batch(inner.id) is None
        consumer.ack(self.only_job(consumer))
        first, second = consumer.turn(2, []).jobs
        consumer.ack(first)
        assert batching.size("default").ready == 0
        assert self.state(batching, plan) == (1, inner.id, (plan.links[2].id,))
        consumer.ack(second)
        assert self.only_job(consumer).id == plan.links[2].id
        assert self.called(consumer) == ["then"]

    @pytest.mark.parametrize("how", ["fail", "cancel", "forget"])
    def test_a_chain_breaks_when_its_batch_does_not_end_well(
        self, batching: BatchingQueue, consumer: Consumer, how: str
    ) -> None:
        """The catch callbacks of the chain are about the batch."""
        inner, catch = batch_of(1), message(queue="low")
        plan = chain_of(inner, message(), catch=[catch])
        batching.start_chain(plan)
        match how:
            case "fail":
                consumer.fail(self.only_job(consumer))
            case "cancel":
                batching.cancel_batch(inner.id)
                consumer.ack(self.only_job(consumer), "cancelled")
            case _:
                assert batching.forget_batch(inner.id) is True
                consumer.ack(self.only_job(consumer))
        called = self.only_job(consumer)
        assert (called.id, called.about) == (catch.id, inner.id)
        state = batching.chain(plan.id)
        assert state is not None
        assert state.state == "broken"

    def test_healing_a_batch_goes_on_with_the_chain_it_broke(
        self, batching: BatchingQueue, consumer: Consumer
    ) -> None:
        """When the last failed member has succeeded after all."""
        inner = batch_of(2)
        plan = chain_of(inner, message())
        batching.start_chain(plan)
        first, second = consumer.turn(2, []).jobs
        consumer.fail(first)
        consumer.ack(second)
        assert consumer.turn(5, []).jobs == []
        self.retry_member(batching, first, inner)
        consumer.ack(self.only_job(consumer))
        assert self.only_job(consumer).id == plan.links[1].id

    def test_a_batch_in_a_chain_in_a_batch_counts_as_one_member(
        self, batching: BatchingQueue, consumer: Consumer
    ) -> None:
        """However deep they lie in each other."""
        inner = batch_of(chain_of(2), message())
        outer = batch_of(chain_of(message(), inner, message()), kinds=("then",))
        batching.start_batch(outer)
        assert self.counts(batching, outer)["total"] == 3
        ran = 0
        while jobs := consumer.turn(1, []).jobs:
            if jobs[0].queue == "default":
                ran += 1
            consumer.ack(jobs[0])
        assert ran == 5
        counts = self.counts(batching, outer)
        assert (counts["succeeded"], counts["pending"]) == (3, 0)

    def test_a_moving_chain_takes_its_batches_along(
        self, make_queue: Any, batching: BatchingQueue
    ) -> None:
        """With their members, chains and callbacks."""
        away: Any = make_queue(name="away")
        inner = batch_of(chain_of(2), message(), connection="away", kinds=("then",))
        plan = chain_of(inner, message(connection="away"))
        batching.start_chain(plan)
        (moved,) = batching.transfers()
        assert away.start_chain(moved) is True
        batching.carried([moved])
        assert away.batch(inner.id).total == 3
        leases = away.leases()
        there = away.consumer(leases.open(), ["default", "low"])
        payloads = []
        while jobs := there.turn(1, []).jobs:
            payloads.append(jobs[0].payload)
            there.ack(jobs[0])
        assert payloads == [b"{}"] * 4 + [b"then"]
        assert batching.batch(inner.id) is None
        there.close()
        leases.close()

    # ---- adding ----

    def test_members_can_be_added_to_a_batch_that_has_not_ended(
        self, batching: BatchingQueue, consumer: Consumer
    ) -> None:
        """C72. Jobs and chains."""
        plan = batch_of(1, kinds=("then",))
        batching.start_batch(plan)
        job = self.only_job(consumer)
        assert batching.add_to_batch(plan.id, [message(), chain_of(2)]) == 3
        assert batching.add_to_batch(plan.id, []) == 0
        consumer.ack(job)
        counts = self.counts(batching, plan)
        assert (counts["total"], counts["pending"]) == (4, 3)
        for _ in range(3):
            consumer.ack(consumer.turn(1, []).jobs[0])
        assert self.called(consumer) == ["then"]

    def test_nothing_can_be_added_to_a_batch_that_has_ended(
        self, batching: BatchingQueue, consumer: Consumer
    ) -> None:
        """C72. Nor to an unknown one; nothing is pushed then."""
        plan = batch_of(1)
        batching.start_batch(plan)
        consumer.ack(self.only_job(consumer))
        assert batching.add_to_batch(plan.id, [message()]) == 0
        assert batching.add_to_batch("f" * 32, [message()]) == 0
        assert batching.size("default").total == 0

    # ---- listing and forgetting ----

    def test_batches_are_listed_the_newest_first(self, batching: BatchingQueue) -> None:
        """Page by page."""
        plans = [batch_of(1, created_at=NEW_YEAR + timedelta(days=day)) for day in range(5)]
        for plan in plans:
            batching.start_batch(plan)
        ids = [plan.id for plan in reversed(plans)]
        assert [state.id for state in batching.batches(limit=2)] == ids[:2]
        assert [state.id for state in batching.batches(after=ids[1], limit=9)] == ids[2:]
        assert batching.batches(after="f" * 32) == []

    def test_a_forgotten_batch_is_gone_and_its_jobs_are_not(
        self, batching: BatchingQueue, consumer: Consumer
    ) -> None:
        """They run as jobs of no batch."""
        plan = batch_of(1, kinds=("finally",))
        batching.start_batch(plan)
        assert batching.forget_batch(plan.id) is True
        assert batching.forget_batch(plan.id) is False
        assert batching.batch(plan.id) is None
        assert batching.batches() == []
        job = self.only_job(consumer)
        assert job.cancelled is False
        assert consumer.ack(job) is True
        assert batching.batch(plan.id) is None
        assert consumer.turn(5, []).jobs == []

    # ---- steps ----

    @staticmethod
    def state_of(batching: BatchingQueue, plan: BatchPlan) -> BatchState:
        """Return how the batch of a plan stands."""
        state = batching.batch(plan.id)
        assert state is not None
        return state

    def counts(self, batching: BatchingQueue, plan: BatchPlan) -> dict[str, int]:
        """Return the counts of a batch."""
        state = self.state_of(batching, plan)
        names = ("total", "pending", "succeeded", "failed", "skipped", "cancelled", "broken")
        return {name: getattr(state, name) for name in names}

    @staticmethod
    def called(consumer: Consumer, queue: str = "low") -> list[str]:
        """Run the callbacks that wait; return their kinds, sorted."""
        kinds = []
        while jobs := consumer.turn(1, []).jobs:
            if jobs[0].queue != queue:
                consumer.give_back([jobs[0].id])
                break
            kinds.append(jobs[0].payload.decode())
            consumer.ack(jobs[0])
        return sorted(kinds)

    @staticmethod
    def retry_member(batching: BatchingQueue, failed: ReservedJob, plan: BatchPlan) -> None:
        """Push a failed member again, as a retry does: with its own tie."""
        again = Message(failed.id, failed.queue, failed.payload, tie=Tie(batch=plan.id))
        assert batching.push(again) is True
