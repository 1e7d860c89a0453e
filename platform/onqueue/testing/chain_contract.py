"""What every driver that keeps chains must do ("chains"), whatever becomes of a link."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from onqueue.contracts import (
    Burial,
    ChainEdit,
    ChainingQueue,
    ChainPlan,
    ChainState,
    Claim,
    Consumer,
    Leases,
    Message,
    ReservedJob,
    Tie,
    WorkableQueue,
)
from onqueue.errors import ConfigurationError
from onqueue.testing.driver_contract import MakeQueue, message
from onqueue.testing.unique_contract import UniqueContract, claiming
from onqueue.testing.work_contract import eventually


def chain_of(*links: Any, **more: Any) -> ChainPlan:
    """Return a chain with an id of its own; a number stands for so many plain links."""
    if len(links) == 1 and isinstance(links[0], int):
        links = tuple(message() for _ in range(links[0]))
    return ChainPlan(secrets.token_hex(16), links, **more)


class ChainContract(UniqueContract):
    """Claims, and chains."""

    @pytest.fixture
    def chaining(self, work: WorkableQueue) -> ChainingQueue:
        """The connection of the test, as one that keeps chains."""
        if "chains" not in work.supports:
            pytest.skip(f"driver {work.config.driver!r} keeps no chains")
        return work  # type: ignore[return-value]

    # ---- going on ----

    @pytest.mark.parametrize("end", ["ack", "turn"])
    def test_a_link_is_pushed_when_the_one_before_it_has_ended_well(
        self, chaining: ChainingQueue, consumer: Consumer, end: str
    ) -> None:
        """C65. In the step that ends it, so that no crash repeats or loses a link."""
        plan = chain_of(3)
        assert chaining.start_chain(plan) is True
        for number, link in enumerate(plan.links):
            waiting = tuple(one.id for one in plan.links[number + 1 :])
            assert self.state(chaining, plan) == (number, link.id, waiting)
            job = self.only_job(consumer)
            assert job.id == link.id
            if end == "ack":
                assert consumer.ack(job) is True
            else:
                assert consumer.turn(0, [job.id]).refused == []
        assert consumer.turn(5, []).jobs == []
        state = chaining.chain(plan.id)
        assert state is not None
        assert (state.state, state.done, state.total) == ("finished", 3, 3)

    def test_a_link_keeps_its_queue_and_its_delay(
        self, chaining: ChainingQueue, consumer: Consumer
    ) -> None:
        """K65. Both begin to count when it is pushed."""
        plan = chain_of(message(), message(queue="low", delay=60.0))
        chaining.start_chain(plan)
        consumer.ack(self.only_job(consumer))
        assert chaining.size("low").delayed == 1
        assert chaining.queues() == ["default", "low"]

    def test_a_release_does_not_move_a_chain(
        self, chaining: ChainingQueue, consumer: Consumer
    ) -> None:
        """K65."""
        plan = chain_of(2)
        chaining.start_chain(plan)
        consumer.release(self.only_job(consumer), 0.0, attempts=1, exceptions=1)
        again = self.only_job(consumer)
        assert again.id == plan.links[0].id
        assert again.attempts == 1

    def test_an_unknown_chain_is_none(self, chaining: ChainingQueue) -> None:
        """It is no error."""
        assert chaining.chain("f" * 32) is None

    def test_a_chain_is_started_once(self, chaining: ChainingQueue, consumer: Consumer) -> None:
        """Also when it has moved on since; with a token even when it is forgotten."""
        plan = chain_of(2)
        assert chaining.start_chain(plan) is True
        assert chaining.start_chain(plan) is False
        consumer.ack(self.only_job(consumer))
        assert chaining.start_chain(plan) is False
        assert self.only_job(consumer).id == plan.links[1].id
        first, second = chain_of(1, token="t-1"), chain_of(1, token="t-1")  # noqa: S106
        assert [chaining.start_chain(first), chaining.start_chain(second)] == [True, False]

    def test_an_empty_chain_has_finished_at_once(self, chaining: ChainingQueue) -> None:
        """Nothing waits for it."""
        plan = chain_of()
        assert chaining.start_chain(plan) is True
        state = chaining.chain(plan.id)
        assert state is not None
        assert state.state == "finished"

    # ---- dying on the way ----

    def test_what_a_dead_holder_had_done_moves_its_chain(
        self, chaining: ChainingQueue, consumer: Consumer, other: Consumer, leases: Leases
    ) -> None:
        """Once: the log of marks decides."""
        plan = chain_of(2)
        chaining.start_chain(plan)
        chaining.push(message())
        first, second = consumer.turn(2, []).jobs
        consumer.mark(None, first.id)
        consumer.mark(first.id, second.id)
        self.settle_marks(consumer)
        leases.bury(consumer.holder, Burial("death"))
        back = eventually(lambda: other.turn(2, []).jobs) + other.turn(2, []).jobs
        assert {job.id for job in back} == {second.id, plan.links[1].id}

    def test_a_link_in_flight_of_a_dead_holder_does_not_move_its_chain(
        self, chaining: ChainingQueue, consumer: Consumer, other: Consumer, leases: Leases
    ) -> None:
        """B1. It comes back; its old holder changes nothing any more."""
        plan = chain_of(2, catch=[message()])
        chaining.start_chain(plan)
        job = self.running(consumer)
        leases.bury(consumer.holder, Burial("death"))
        assert consumer.ack(job) is False
        assert consumer.ack(job, chain=ChainEdit(append=[message()])) is False
        assert consumer.fail(job) is False
        (again,) = eventually(lambda: other.turn(5, []).jobs)
        assert again.id == plan.links[0].id
        assert self.state(chaining, plan) == (0, plan.links[0].id, (plan.links[1].id,))

    # ---- breaking ----

    def test_a_failed_link_breaks_its_chain(
        self, chaining: ChainingQueue, consumer: Consumer
    ) -> None:
        """K65. The rest waits; the catch callbacks are pushed and told whose end called them."""
        catch = [message(), message(queue="low")]
        plan = chain_of(3, catch=catch)
        chaining.start_chain(plan)
        consumer.ack(self.only_job(consumer))
        failed = self.only_job(consumer)
        assert consumer.fail(failed) is True
        (first,), (second,) = consumer.turn(5, []).jobs, consumer.turn(5, []).jobs
        assert [first.id, second.id] == [one.id for one in catch]
        assert {first.about, second.about} == {failed.id}
        state = chaining.chain(plan.id)
        assert state == ChainState(plan.id, "", "broken", 3, 1, failed.id, (plan.links[2].id,))

    def test_retrying_the_failed_link_goes_on_with_the_chain(
        self, chaining: ChainingQueue, consumer: Consumer
    ) -> None:
        """The catch callbacks are pushed once, however often it fails."""
        catch = message()
        plan = chain_of(2, catch=[catch])
        chaining.start_chain(plan)
        failed = self.only_job(consumer)
        consumer.fail(failed)
        self.retry(chaining, failed, plan)
        jobs = consumer.turn(5, []).jobs
        assert [job.id for job in jobs] == [catch.id, failed.id]
        for job in jobs:
            consumer.fail(job)
        assert consumer.turn(5, []).jobs == []
        self.retry(chaining, failed, plan)
        consumer.ack(self.only_job(consumer))
        consumer.ack(self.only_job(consumer))
        assert consumer.turn(5, []).jobs == []
        assert self.state(chaining, plan) == (2, "", ())

    @pytest.mark.parametrize("road", ["forget", "clear", "cancelled"])
    def test_a_link_that_is_taken_away_breaks_its_chain(
        self, chaining: ChainingQueue, consumer: Consumer, road: str
    ) -> None:
        """It did not end well, so nothing may follow it but the catch callbacks."""
        catch = message(queue="low")
        plan = chain_of(2, catch=[catch])
        chaining.start_chain(plan)
        match road:
            case "forget":
                assert chaining.forget(plan.links[0].id) is True
            case "clear":
                assert chaining.clear("default") == 1
            case _:
                assert consumer.ack(self.only_job(consumer), "cancelled") is True
        assert [job.id for job in consumer.turn(5, []).jobs] == [catch.id]

    # ---- skips ----

    @pytest.mark.parametrize("outcome", ["skipped", "expired"])
    @pytest.mark.parametrize("on_skip", ["continue", "stop"])
    def test_a_skipped_link_goes_on_or_stops(
        self, chaining: ChainingQueue, consumer: Consumer, on_skip: Any, outcome: Any
    ) -> None:
        """As the chain was told."""
        catch = message()
        plan = chain_of(2, catch=[catch], on_skip=on_skip)
        chaining.start_chain(plan)
        consumer.ack(self.only_job(consumer), outcome)
        follows = plan.links[1] if on_skip == "continue" else catch
        assert self.only_job(consumer).id == follows.id

    def test_a_link_that_loses_its_claim_is_skipped(
        self, chaining: ChainingQueue, consumer: Consumer
    ) -> None:
        """C59. The rest of the chain does not vanish with it."""
        chaining.push(claiming(delay=60.0))
        plan = chain_of(message(), claiming(), claiming(), message())
        chaining.start_chain(plan)
        consumer.ack(self.only_job(consumer))
        assert self.only_job(consumer).id == plan.links[3].id
        assert self.state(chaining, plan) == (3, plan.links[3].id, ())

    def test_a_link_takes_its_claim_when_it_is_pushed(
        self, chaining: ChainingQueue, consumer: Consumer
    ) -> None:
        """C58. Not before, and it gives it back at its end."""
        plan = chain_of(message(), claiming())
        chaining.start_chain(plan)
        between, late = claiming(), claiming()
        assert chaining.push(between) is True
        chaining.forget(between.id)
        consumer.ack(self.only_job(consumer))
        assert chaining.push(late) is False
        consumer.ack(self.only_job(consumer))
        assert chaining.push(late) is True

    # ---- editing ----

    def test_a_link_adds_to_its_chain_when_it_ends_well(
        self, chaining: ChainingQueue, consumer: Consumer
    ) -> None:
        """Before and behind what waits, in the order given."""
        plan = chain_of(2)
        chaining.start_chain(plan)
        before, behind = [message(), message()], [message(), message()]
        job = self.only_job(consumer)
        assert consumer.ack(job, chain=ChainEdit(before, behind)) is True
        assert consumer.ack(job, chain=ChainEdit(before, behind)) is False
        expected = [*before, plan.links[1], *behind]
        for link in expected:
            job = self.only_job(consumer)
            assert job.id == link.id
            consumer.ack(job)
        assert self.state(chaining, plan) == (6, "", ())

    def test_the_last_link_can_add_to_its_chain(
        self, chaining: ChainingQueue, consumer: Consumer
    ) -> None:
        """It has not ended before."""
        plan, added = chain_of(1), message()
        chaining.start_chain(plan)
        consumer.ack(self.only_job(consumer), chain=ChainEdit(append=[added]))
        assert self.only_job(consumer).id == added.id

    def test_a_job_in_no_chain_cannot_change_one(
        self, chaining: ChainingQueue, consumer: Consumer
    ) -> None:
        """It is told, and stays reserved."""
        chaining.push(message())
        job = self.only_job(consumer)
        with pytest.raises(ConfigurationError, match="in no chain"):
            consumer.ack(job, chain=ChainEdit(append=[message()]))
        assert consumer.ack(job) is True

    # ---- other connections ----

    def test_a_chain_moves_to_the_connection_of_its_next_link(
        self, make_queue: MakeQueue, chaining: ChainingQueue, consumer: Consumer
    ) -> None:
        """With all that is left of it; what named no connection comes home afterwards."""
        away: Any = make_queue(name="away")
        far, home, caught = message(connection="away"), message(), message()
        plan = chain_of(message(), far, home, catch=[caught], name="trip", on_skip="stop")
        chaining.start_chain(plan)
        assert chaining.transfers() == []
        assert consumer.turn(0, [self.only_job(consumer).id]).transfers is True
        (moved,) = chaining.transfers()
        assert isinstance(moved, ChainPlan)
        assert [link.connection for link in moved.links] == ["away", chaining.name]
        assert away.start_chain(moved) is True
        assert away.start_chain(moved) is False
        chaining.carried([moved])
        assert chaining.transfers() == []
        assert chaining.chain(plan.id) is None
        self.run_one(away, far.id)
        (back,) = away.transfers()
        assert chaining.start_chain(back) is True
        away.carried([back])
        assert self.only_job(consumer).id == home.id
        state = chaining.chain(plan.id)
        assert state is not None
        assert (state.name, state.state) == ("trip", "running")

    def test_a_chain_may_begin_on_another_connection(
        self, make_queue: MakeQueue, chaining: ChainingQueue
    ) -> None:
        """It waits to be taken there from its start."""
        away: Any = make_queue(name="away")
        plan = chain_of(message(connection="away"))
        chaining.start_chain(plan)
        (moved,) = chaining.transfers()
        assert away.start_chain(moved) is True
        chaining.carried([moved])
        self.run_one(away, plan.links[0].id)

    def test_a_callback_for_another_connection_waits_to_be_taken_there(
        self, make_queue: MakeQueue, chaining: ChainingQueue, consumer: Consumer
    ) -> None:
        """It is pushed once there, however often it is carried, and knows what it is about."""
        away: Any = make_queue(name="away")
        plan = chain_of(1, catch=[message(b"caught", connection="away")])
        chaining.start_chain(plan)
        failed = self.only_job(consumer)
        consumer.fail(failed)
        assert consumer.turn(1, []).transfers is True
        (moved,) = chaining.transfers()
        assert isinstance(moved, Message)
        assert moved.connection == "away"
        assert [away.push(moved), away.push(moved)] == [True, False]
        chaining.carried([moved])
        assert chaining.transfers() == []
        leases = away.leases()
        there = away.consumer(leases.open(), ["default"])
        (job,) = there.turn(1, []).jobs
        assert (job.payload, job.about) == (b"caught", failed.id)
        there.close()
        leases.close()

    # ---- steps ----

    @staticmethod
    def run_one(queue: Any, expected: str) -> None:
        """Run the one job that waits in a queue."""
        leases = queue.leases()
        consumer = queue.consumer(leases.open(), ["default"])
        (job,) = consumer.turn(5, []).jobs
        assert job.id == expected
        assert consumer.ack(job) is True
        consumer.close()
        leases.close()

    @staticmethod
    def only_job(consumer: Consumer) -> ReservedJob:
        """Reserve the one job that is ready."""
        (job,) = consumer.turn(5, []).jobs
        return job

    @staticmethod
    def state(chaining: ChainingQueue, plan: ChainPlan) -> tuple[int, str, tuple[str, ...]]:
        """Return how many links have ended, the current one and those that wait."""
        state = chaining.chain(plan.id)
        assert state is not None
        return (state.done, state.current, state.waiting)

    @staticmethod
    def retry(chaining: ChainingQueue, failed: ReservedJob, plan: ChainPlan) -> None:
        """Push a failed link again, as a retry does: with its own tie."""
        tie = Tie(chain=plan.id, claim=Claim(f"retry of {failed.id}"))
        assert chaining.push(Message(failed.id, failed.queue, failed.payload, tie=tie)) is True
