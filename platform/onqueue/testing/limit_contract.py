"""What every driver that counts quotas must do ("limits"): let through, park, call in, pause."""

from __future__ import annotations

import pytest

from onqueue.contracts import Burial, Consumer, Leases, ReservedJob, WorkableQueue
from onqueue.monitor import inspection_of
from onqueue.quotas import Pause, PausesWork, Quota, Spent, pause_key
from onqueue.testing.driver_contract import message
from onqueue.testing.work_contract import BRIEF, WorkContract, eventually

RATE = Quota("rate", "contract", 2, BRIEF * 2)
SLOT = Quota("slots", "contract", 1)


class LimitContract(WorkContract):
    """The dispatch side, the worker's side, quotas and pauses of job classes and tenants."""

    @pytest.fixture
    def limited(self, work: WorkableQueue) -> WorkableQueue:
        """The connection of the test, as one that counts quotas."""
        if "limits" not in work.supports:
            pytest.skip(f"driver {work.config.driver!r} counts no quotas")
        return work

    # ---- rates ----

    def test_a_rate_lets_its_number_through_and_parks_the_rest_in_order(
        self, limited: WorkableQueue, consumer: Consumer
    ) -> None:
        """C54, B4. Nothing is spent by waiting."""
        sent = [message() for _ in range(5)]
        limited.push_many(sent)
        ran = self.work_off(consumer, 2, RATE)
        assert limited.size("default").parked == 3
        assert 0 < (consumer.turn(1, []).next_due or 0) <= BRIEF * 2
        ran += self.work_off(consumer, 3, RATE)
        assert ran == [(one.id, 0) for one in sent]
        assert limited.size("default").total == 0

    def test_all_quotas_are_used_or_none(self, limited: WorkableQueue, consumer: Consumer) -> None:
        """C54. What refuses does not use up what would have let it through."""
        narrow, wide = Quota("rate", "narrow", 1, 60.0), Quota("rate", "wide", 2, 60.0)
        limited.push_many([message() for _ in range(4)])
        jobs = consumer.turn(4, []).jobs
        let_through = [self.ask(consumer, job, wide, narrow) is None for job in jobs]
        assert let_through == [True, False, False, False]
        assert self.ask(consumer, jobs[1], wide) is None
        wait = self.ask(consumer, jobs[2], wide)
        assert wait is not None
        assert 50 < wait <= 60

    def test_a_moving_rate_is_kept_in_every_span_and_counts_what_did_not_wait(
        self, limited: WorkableQueue, consumer: Consumer
    ) -> None:
        """C54. Each place comes back on its own, a span after it was used."""
        moving = Quota("moving", "contract", 2, BRIEF * 2)
        limited.push_many([message() for _ in range(3)])
        first, second, third = consumer.turn(3, []).jobs
        limits = consumer.limits()
        limits.hit(moving)
        assert self.ask(consumer, first, moving) is None
        wait = self.ask(consumer, second, moving)
        assert wait is not None
        assert 0 < wait <= BRIEF * 2
        consumer.wait_turn(second, [moving])
        woken: list[ReservedJob] = []

        def is_woken() -> bool:
            woken.extend(consumer.turn(1, []).jobs)
            return bool(woken)

        eventually(is_woken)
        assert [job.id for job in woken] == [second.id]
        assert self.ask(consumer, woken[0], moving) is None
        assert consumer.limits().take_each([Quota("rate", "n", 1, 60.0)] * 2)[0] is None
        assert (self.ask(consumer, third, Quota("rate", "n", 1, 60.0)) or 0) > 50

    def test_what_is_spent_of_a_rate_is_told_until_its_window_ends(
        self, limited: WorkableQueue, consumer: Consumer
    ) -> None:
        """C54. Asking uses nothing."""
        rate, moving = Quota("rate", "told", 3, BRIEF), Quota("moving", "told", 3, BRIEF)
        look = inspection_of(limited, "the contract")
        for quota in (rate, moving):
            assert look.spent(quota) == Spent(0)
            assert consumer.limits().take_each([quota] * 5)[1:3] == [None, None]
            spent = look.spent(quota)
            assert spent.count == 3
            assert 0 < (spent.opens_in or 0) <= BRIEF
        eventually(lambda: look.spent(rate) == look.spent(moving) == Spent(0))
        with pytest.raises(ValueError, match="'contract', which is of the kind 'slots'"):
            look.spent(SLOT)

    # ---- slots ----

    def test_a_slot_goes_to_who_waits_when_it_is_given_back(
        self, limited: WorkableQueue, consumer: Consumer, other: Consumer
    ) -> None:
        """B4. Who has it may ask again."""
        limited.push_many([message() for _ in range(2)])
        first, second = consumer.turn(2, []).jobs
        assert self.ask(consumer, first, SLOT) is None
        assert self.ask(consumer, first, SLOT) is None
        assert self.ask(consumer, second, SLOT) == float("inf")
        consumer.wait_turn(second, [SLOT])
        assert other.turn(1, []).jobs == []
        consumer.limits().free([SLOT], first.id)
        (woken,) = other.turn(1, []).jobs
        assert (woken.id, self.ask(other, woken, SLOT)) == (second.id, None)

    def test_a_slot_ends_with_its_holder(
        self, limited: WorkableQueue, consumer: Consumer, other: Consumer, leases: Leases
    ) -> None:
        """However that ended."""
        limited.push_many([message() for _ in range(2)])
        (held,) = consumer.turn(1, []).jobs
        (waiting,) = other.turn(1, []).jobs
        assert self.ask(consumer, held, SLOT) is None
        assert self.ask(other, waiting, SLOT) is not None
        leases.bury(consumer.holder, Burial("death"))
        assert self.ask(other, waiting, SLOT) is None

    # ---- faults ----

    def test_faults_close_until_they_are_forgotten(
        self, limited: WorkableQueue, consumer: Consumer
    ) -> None:
        """C55."""
        faults = Quota("faults", "contract", 2, 60.0)
        limited.push(message())
        (job,) = consumer.turn(1, []).jobs
        consumer.limits().hit(faults)
        assert self.ask(consumer, job, faults) is None
        consumer.limits().hit(faults)
        assert self.ask(consumer, job, faults) is not None
        consumer.limits().clear(faults)
        assert self.ask(consumer, job, faults) is None

    # ---- pauses ----

    def test_jobs_of_a_paused_class_come_back_in_order(
        self, limited: WorkableQueue, consumer: Consumer
    ) -> None:
        """K27. The turn tells what is paused; who waits comes back at the end of the pause."""
        assert isinstance(limited, PausesWork)
        pause = Pause("job", "SendMail", "the provider is down")
        assert limited.pause_work(pause) is True
        assert limited.pauses() == [pause]
        sent = [message() for _ in range(3)]
        limited.push_many(sent)
        turn = consumer.turn(3, [])
        assert turn.pauses == {pause}
        for job in turn.jobs:
            consumer.wait_turn(job, [Quota("pause", pause_key("job", "SendMail"))])
        assert consumer.turn(3, []).jobs == []
        assert limited.size("default").parked == 3
        assert limited.resume_work("job", "SendMail") is True
        back = consumer.turn(3, [])
        assert [job.id for job in back.jobs] == [one.id for one in sent]
        assert back.pauses == frozenset()

    # ---- steps ----

    @staticmethod
    def ask(consumer: Consumer, job: ReservedJob, *quotas: Quota) -> float | None:
        """Ask as a middleware does."""
        return consumer.limits().admit(quotas, job.id, job.queue)

    @classmethod
    def work_off(cls, consumer: Consumer, count: int, quota: Quota) -> list[tuple[str, int]]:
        """Work until so many were let through; return them with the attempts they had spent."""
        ran: list[tuple[str, int]] = []

        def step() -> bool:
            for job in consumer.turn(5, []).jobs:
                consumer.mark(None, job.id)
                if cls.ask(consumer, job, quota) is None:
                    ran.append((job.id, job.attempts))
                    consumer.ack(job)
                else:
                    consumer.wait_turn(job, [quota])
            return len(ran) >= count

        eventually(step)
        return ran
