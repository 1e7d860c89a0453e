"""What every driver that hands out jobs must do: reserve, end, give back, bury, lock, wake."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from onqueue.clock import SystemClock
from onqueue.contracts import Burial, Consumer, Leases, ReservedJob, WorkableQueue
from onqueue.errors import LeaseLost
from onqueue.testing.driver_contract import ANY_BYTES, DriverContract, MakeQueue, message

T = TypeVar("T")
DEADLINE = 5.0
BRIEF = 0.2
"""Seconds of a lease that a test lets lapse."""

_clock = SystemClock()


def eventually(attempt: Callable[[], T], within: float = DEADLINE) -> T:
    """Return the first true answer; fail when there was none in time."""
    until = _clock.monotonic() + within
    while _clock.monotonic() < until:
        answer = attempt()
        if answer:
            return answer
        _clock.sleep(0.01)
    pytest.fail(f"nothing came within {within:g} s")


class WorkContract(DriverContract):
    """The dispatch side and the worker's side."""

    @pytest.fixture
    def work(self, make_queue: MakeQueue) -> WorkableQueue:
        """An empty connection that a worker can serve."""
        made: WorkableQueue = make_queue()
        return made

    @pytest.fixture
    def leases(self, work: WorkableQueue) -> Iterator[Leases]:
        """The parent's side."""
        leases = work.leases()
        yield leases
        leases.close()

    @pytest.fixture
    def consumer(self, work: WorkableQueue, leases: Leases) -> Iterator[Consumer]:
        """The child's side, serving `default` before `low`."""
        consumer = work.consumer(leases.open(), ["default", "low"])
        yield consumer
        consumer.close()

    @pytest.fixture
    def other(self, work: WorkableQueue, leases: Leases) -> Iterator[Consumer]:
        """Another child."""
        consumer = work.consumer(leases.open(), ["default", "low"])
        yield consumer
        consumer.close()

    # ---- handing out ----

    def test_jobs_come_in_order_with_their_bytes_untouched(
        self, work: WorkableQueue, consumer: Consumer
    ) -> None:
        """C33: Oldest first."""
        sent = [message(ANY_BYTES + bytes([n])) for n in range(3)]
        work.push_many(sent)
        jobs = consumer.turn(10, []).jobs
        assert [(job.id, job.payload) for job in jobs] == [(one.id, one.payload) for one in sent]
        assert {(job.attempts, job.exceptions, job.deaths, job.doom) for job in jobs} == {
            (0, 0, 0, "")
        }

    def test_a_turn_brings_no_more_than_was_wanted(
        self, work: WorkableQueue, consumer: Consumer
    ) -> None:
        """The rest waits."""
        work.push_many([message() for _ in range(5)])
        assert len(consumer.turn(2, []).jobs) == 2
        assert (work.size("default").ready, work.size("default").reserved) == (3, 2)

    def test_the_first_queue_comes_first(self, work: WorkableQueue, consumer: Consumer) -> None:
        """Whatever was pushed first."""
        work.push(message(queue="low"))
        urgent = message()
        work.push(urgent)
        assert consumer.turn(1, []).jobs[0].id == urgent.id

    def test_a_lower_queue_gives_one_job_a_turn(
        self, work: WorkableQueue, consumer: Consumer
    ) -> None:
        """So that the higher one is asked again before the next."""
        work.push_many([message(queue="low") for _ in range(3)])
        assert len(consumer.turn(3, []).jobs) == 1

    def test_a_job_is_handed_to_one_consumer_only(
        self, work: WorkableQueue, consumer: Consumer, other: Consumer
    ) -> None:
        """The other gets nothing."""
        work.push(message())
        assert len(consumer.turn(1, []).jobs) == 1
        assert other.turn(1, []).jobs == []

    def test_a_delayed_job_comes_when_it_is_due(
        self, work: WorkableQueue, consumer: Consumer
    ) -> None:
        """And the turn before tells when that is."""
        later = message(delay=0.3)
        work.push(later)
        turn = consumer.turn(1, [])
        assert turn.jobs == []
        assert turn.next_due is not None
        assert 0 < turn.next_due <= 0.3
        jobs = eventually(lambda: consumer.turn(1, []).jobs)
        assert jobs[0].id == later.id

    def test_a_paused_queue_hands_nothing_out(
        self, work: WorkableQueue, consumer: Consumer
    ) -> None:
        """Until it is resumed."""
        work.push(message())
        work.pause("default")
        assert consumer.turn(1, []).jobs == []
        work.resume("default")
        assert len(consumer.turn(1, []).jobs) == 1

    # ---- endings ----

    def test_an_acked_job_is_gone(self, work: WorkableQueue, consumer: Consumer) -> None:
        """And cannot be acked again."""
        job = self.start(work, consumer)
        assert consumer.ack(job) is True
        assert work.knows([job.id]) == set()
        assert consumer.ack(job) is False

    def test_a_turn_confirms_what_is_done(self, work: WorkableQueue, consumer: Consumer) -> None:
        """In the same trip."""
        job = self.start(work, consumer)
        assert consumer.turn(1, [job.id]).refused == []
        assert work.knows([job.id]) == set()

    def test_a_released_job_comes_back_with_its_counters(
        self, work: WorkableQueue, consumer: Consumer, other: Consumer
    ) -> None:
        """At once when there is no delay."""
        job = self.start(work, consumer)
        assert consumer.release(job, 0.0, attempts=2, exceptions=1) is True
        (again,) = eventually(lambda: other.turn(1, []).jobs)
        assert (again.id, again.payload) == (job.id, job.payload)
        assert (again.attempts, again.exceptions) == (2, 1)

    def test_a_release_with_a_delay_waits(self, work: WorkableQueue, consumer: Consumer) -> None:
        """It is counted as delayed."""
        job = self.start(work, consumer)
        consumer.release(job, 60.0, attempts=1, exceptions=0)
        assert consumer.turn(1, []).jobs == []
        assert work.size("default").delayed == 1

    def test_a_failed_job_is_gone(self, work: WorkableQueue, consumer: Consumer) -> None:
        """The failed store has it."""
        job = self.start(work, consumer)
        assert consumer.fail(job) is True
        assert work.size("default").total == 0

    def test_unstarted_jobs_go_back_to_the_front_in_order(
        self, work: WorkableQueue, consumer: Consumer, other: Consumer
    ) -> None:
        """No attempt is spent."""
        work.push_many([message() for _ in range(4)])
        held = consumer.turn(3, []).jobs
        consumer.give_back([job.id for job in held[1:]])
        got = other.turn(2, []).jobs
        assert [job.id for job in got] == [job.id for job in held[1:]]
        assert {job.attempts for job in got} == {0}

    def test_the_parent_gives_unstarted_jobs_back(
        self, work: WorkableQueue, consumer: Consumer, other: Consumer, leases: Leases
    ) -> None:
        """And is told which were still held."""
        work.push_many([message() for _ in range(2)])
        held = [job.id for job in consumer.turn(2, []).jobs]
        assert leases.give_back(consumer.holder, [held[1], "f" * 32]) == [held[1]]
        assert [job.id for job in other.turn(2, []).jobs] == [held[1]]

    # ---- leases ----

    def test_a_lease_is_renewed_until_its_holder_is_buried(
        self, consumer: Consumer, leases: Leases
    ) -> None:
        """Then it is lost for good."""
        assert (leases.renew(consumer.holder) or 0) > 0
        leases.bury(consumer.holder, Burial("exit"))
        assert leases.renew(consumer.holder) is None

    @pytest.mark.parametrize(
        ("kind", "attempts", "deaths"),
        [("exit", 0, 0), ("death", 1, 1), ("timeout", 1, 0), ("lapsed", 1, 0)],
    )
    def test_the_job_in_flight_of_a_buried_holder_comes_back(
        self,
        work: WorkableQueue,
        consumer: Consumer,
        other: Consumer,
        leases: Leases,
        kind: str,
        attempts: int,
        deaths: int,
    ) -> None:
        """It has spent its attempt, except when its process ended on purpose."""
        job = self.start(work, consumer)
        in_flight = leases.bury(consumer.holder, Burial(kind))  # type: ignore[arg-type]
        assert [one.id for one in in_flight] == [job.id]
        (again,) = eventually(lambda: other.turn(1, []).jobs)
        assert (again.id, again.attempts, again.deaths) == (job.id, attempts, deaths)

    def test_a_burial_spends_nothing_of_what_never_started_nor_repeats_what_is_done(
        self, work: WorkableQueue, consumer: Consumer, other: Consumer, leases: Leases
    ) -> None:
        """Only the log of marks decides."""
        work.push_many([message() for _ in range(3)])
        done, running, waiting = consumer.turn(3, []).jobs
        consumer.mark(None, done.id)
        consumer.mark(done.id, running.id)
        self.settle_marks(consumer)
        leases.bury(consumer.holder, Burial("death"))
        back = eventually(lambda: other.turn(3, []).jobs) + other.turn(3, []).jobs
        assert {job.id: job.attempts for job in back} == {running.id: 1, waiting.id: 0}

    def test_a_doomed_job_bears_its_doom_and_its_delay(
        self, work: WorkableQueue, consumer: Consumer, other: Consumer, leases: Leases
    ) -> None:
        """It is not handed out before."""
        self.start(work, consumer)
        leases.bury(consumer.holder, Burial("timeout", delay=0.2, doom="timeout"))
        assert other.turn(1, []).jobs == []
        (again,) = eventually(lambda: other.turn(1, []).jobs)
        assert again.doom == "timeout"

    def test_a_buried_holder_changes_nothing(
        self, work: WorkableQueue, consumer: Consumer, leases: Leases
    ) -> None:
        """Neither ack nor release nor fail nor a turn."""
        job = self.start(work, consumer)
        leases.bury(consumer.holder, Burial("lapsed"))
        before = work.size("default")
        assert consumer.ack(job) is False
        assert consumer.fail(job) is False
        assert consumer.release(job, 0.0, attempts=9, exceptions=9) is False
        with pytest.raises(LeaseLost):
            consumer.turn(1, [job.id])
        assert work.size("default") == before

    def test_a_lapsed_holder_is_reaped(self, make_queue: MakeQueue) -> None:
        """Its job is back, and the reaper is told when to come again."""
        work: WorkableQueue = make_queue(lease=BRIEF)
        leases = work.leases()
        consumer = work.consumer(leases.open(), ["default"])
        self.start(work, consumer)
        reaped, next_expiry = leases.reap()
        assert reaped == 0
        assert next_expiry is not None
        assert 0 < next_expiry <= BRIEF
        assert eventually(lambda: leases.reap()[0]) == 1
        assert work.size("default").ready == 1
        consumer.close()
        leases.close()

    def test_the_parent_can_read_a_payload(self, work: WorkableQueue, leases: Leases) -> None:
        """None when the job is gone."""
        sent = message(ANY_BYTES)
        work.push(sent)
        assert leases.payload(sent.id) == ANY_BYTES
        assert leases.payload("f" * 32) is None

    # ---- locks ----

    def test_a_lock_has_one_owner(self, consumer: Consumer, other: Consumer) -> None:
        """Who takes it twice still has it; who does not have it cannot give it back."""
        mine, yours = secrets.token_hex(16), secrets.token_hex(16)
        assert consumer.locks().acquire("k", mine, None) is True
        assert consumer.locks().acquire("k", mine, None) is True
        assert other.locks().acquire("k", yours, None) is False
        assert other.locks().release("k", yours) is False
        assert consumer.locks().release("k", mine) is True
        assert other.locks().acquire("k", yours, None) is True

    def test_a_lock_ends_with_its_holder(
        self, consumer: Consumer, other: Consumer, leases: Leases
    ) -> None:
        """However that ended."""
        consumer.locks().acquire("k", secrets.token_hex(16), None)
        leases.bury(consumer.holder, Burial("death"))
        assert other.locks().acquire("k", secrets.token_hex(16), None) is True

    def test_a_parked_job_comes_when_the_lock_is_free(
        self, work: WorkableQueue, consumer: Consumer, other: Consumer
    ) -> None:
        """It is counted as parked until then, and spends nothing."""
        owner = secrets.token_hex(16)
        consumer.locks().acquire("k", owner, None)
        job = self.start(work, other)
        assert other.park(job, "k") is True
        assert work.size("default").parked == 1
        assert other.turn(1, []).jobs == []
        consumer.locks().release("k", owner)
        (again,) = eventually(lambda: other.turn(1, []).jobs)
        assert (again.id, again.attempts) == (job.id, job.attempts)

    def test_nobody_parks_for_a_lock_that_is_free(
        self, work: WorkableQueue, consumer: Consumer
    ) -> None:
        """The job stays reserved, to be tried again at once."""
        job = self.start(work, consumer)
        assert consumer.park(job, "free") is False
        assert consumer.ack(job) is True

    # ---- waiting ----

    def test_waiting_ends_with_a_push(self, work: WorkableQueue, consumer: Consumer) -> None:
        """On any of its queues, long before the time is over."""
        reader, writer = os.pipe()
        pushing = threading.Timer(0.1, work.push, [message(queue="low")])
        pushing.start()
        began = _clock.monotonic()
        consumer.wait(DEADLINE, reader)
        assert _clock.monotonic() - began < DEADLINE
        pushing.join()
        os.close(reader)
        os.close(writer)

    def test_waiting_ends_when_the_descriptor_is_readable(self, consumer: Consumer) -> None:
        """That is how signals get through."""
        reader, writer = os.pipe()
        os.write(writer, b"x")
        began = _clock.monotonic()
        consumer.wait(DEADLINE, reader)
        assert _clock.monotonic() - began < DEADLINE
        os.close(reader)
        os.close(writer)

    # ---- steps ----

    @staticmethod
    def start(work: WorkableQueue, consumer: Consumer) -> ReservedJob:
        """Push one job, reserve it and mark it as started."""
        work.push(message(ANY_BYTES))
        (job,) = consumer.turn(1, []).jobs
        consumer.mark(None, job.id)
        WorkContract.settle_marks(consumer)
        return job

    @staticmethod
    def settle_marks(consumer: Consumer) -> None:
        """Make sure that marks nobody waited for have arrived: any waited call does."""
        consumer.locks().release("nobody's", "f" * 32)
