"""Throttles, funnels and locks, as middleware and inside a job."""

from collections.abc import Callable
from typing import Any

import pytest

from onqueue import Job
from onqueue.errors import (
    BrokerUnavailable,
    LimitDefinitionError,
    LimitReached,
    NotRunning,
    RunEnded,
)
from onqueue.job_context import Order, running
from onqueue.limits import Limit, RateLimiter, funnel, lock, take_each, throttle
from onqueue.middleware import RateLimited
from onqueue.quotas import Quota
from support.child_loop import LimitsDouble, LocksDouble
from support.middleware_rig import bound

RATE = Quota("rate", "throttle:10s:stripe", 5, 10)
SLOTS = Quota("slots", "funnel:pdf", 3)


class Gated(Job):
    def handle(self) -> None: ...


@pytest.mark.parametrize(
    ("gate", "quota"),
    [(throttle("stripe").allow(5).every(10), RATE), (funnel("pdf").limit(3), SLOTS)],
)
def test_an_open_gate_lets_the_job_through_and_a_shut_one_parks_it(gate: Any, quota: Quota) -> None:
    job, limits, ran = Gated(), LimitsDouble(), list[Job]()
    context = bound(job, limits=limits)
    gate(job, ran.append)
    assert (ran, context.order) == ([job], None)
    limits.shut[quota.key] = 4.0
    gate(job, ran.append)
    assert (ran, context.order) == ([job], Order("park", quotas=(quota,)))


@pytest.mark.parametrize(
    ("told", "order"),
    [
        (lambda gate: gate.release_after(9), Order("release", delay=9.0)),
        (lambda gate: gate.dont_release(), Order("skip")),
    ],
)
@pytest.mark.parametrize("make", [lambda: throttle("k").every(1), lambda: lock("k")])
def test_a_shut_gate_does_what_it_was_told(
    make: Callable[[], Any], told: Callable[[Any], Any], order: Order
) -> None:
    limits, locks = LimitsDouble(), LocksDouble()
    limits.shut["throttle:1s:k"] = 4.0
    locks.acquire("lock:k", "another", None)
    job, ran = Gated(), list[Job]()
    context = bound(job, locks=locks, limits=limits)
    told(make())(job, ran.append)
    assert (ran, context.order) == ([], order)


def test_a_slot_is_given_back_also_when_the_job_raises() -> None:
    job, limits = Gated(), LimitsDouble()
    bound(job, limits=limits)

    def broken(_: Job) -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        funnel("pdf").limit(3)(job, broken)
    assert limits.told == [("admit", "1", "q", SLOTS.key), ("free", "1", SLOTS.key)]


def test_a_broker_that_is_away_at_the_end_does_not_make_a_success_a_failure() -> None:
    class Away(LimitsDouble):
        def free(self, quotas: Any, owner: str) -> None:
            raise BrokerUnavailable("c", "nowhere", "the test sent it away")

    class LocksAway(LocksDouble):
        def release(self, key: str, owner: str) -> bool:
            raise BrokerUnavailable("c", "nowhere", "the test sent it away")

    job, ran = Gated(), list[Job]()
    bound(job, limits=Away(), locks=LocksAway())
    funnel("pdf").limit(3)(job, ran.append)
    lock("k")(job, ran.append)
    assert ran == [job, job]


def test_inside_a_job_a_shut_gate_raises_and_may_release() -> None:
    job, limits, locks = Gated(), LimitsDouble(), LocksDouble()
    context = bound(job, limits=limits, locks=locks)
    with throttle("stripe").allow(5).every(10), funnel("pdf").limit(3), lock("k"):
        assert locks.taken == {"lock:k": "1"}
    assert (locks.taken, limits.told[-1]) == ({}, ("free", "1", SLOTS.key))
    limits.shut[RATE.key] = 4.0
    with (
        pytest.raises(LimitReached, match="again in 4 s") as caught,
        throttle("stripe").allow(5).every(10),
    ):
        pytest.fail("it was shut")
    assert (caught.value.retry_in, context.order) == (4.0, None)
    locks.acquire("lock:k", "another", None)
    with pytest.raises(LimitReached, match="gives it back"), lock("k"):
        pytest.fail("it was shut")
    assert (locks.taken, context.order) == ({"lock:k": "another"}, None)
    with pytest.raises(RunEnded), lock("k").release_after(7):
        pytest.fail("it was shut")
    assert context.order == Order("release", delay=7.0)
    with pytest.raises(RunEnded), throttle("stripe").allow(5).every(10).release_after(9):
        pytest.fail("it was shut")


def test_outside_of_a_job_there_are_no_limits() -> None:
    running.set(None)
    with pytest.raises(NotRunning, match=r"lock\('k'\)"), lock("k"):
        pytest.fail("nothing runs")
    job = Gated()
    bound(job)
    for gate in (throttle("k").every(1), lock("k")):
        with pytest.raises(NotRunning):
            gate(job, lambda _: None)


@pytest.mark.parametrize(
    ("gate", "missing"), [(throttle("k").allow(3), "every"), (funnel("k"), "limit")]
)
def test_a_gate_that_was_not_completed_says_what_is_missing(gate: Any, missing: str) -> None:
    job = Gated()
    bound(job, limits=LimitsDouble())
    with pytest.raises(LimitDefinitionError, match=missing):
        gate(job, lambda _: None)


def test_a_gate_that_only_counts_lets_through_what_is_shut() -> None:
    job, limits, ran = Gated(), LimitsDouble(), list[Job]()
    bound(job, limits=limits)
    limits.shut[RATE.key] = 4.0
    throttle("stripe").allow(5).every(10).without_waiting()(job, ran.append)
    assert (ran, limits.told) == ([job], [("hit", RATE.key)])


def test_a_gate_that_only_counts_leaves_alone_the_slots_that_others_have() -> None:
    job, limits, ran = Gated(), LimitsDouble(), list[Job]()
    bound(job, limits=limits)
    RateLimiter.define("pdf", lambda _: [Limit.per(5, 10).by("stripe"), Limit.concurrency(3)])
    try:
        RateLimited("pdf").without_waiting()(job, ran.append)
    finally:
        RateLimiter.forget("pdf")
    assert (ran, limits.told) == ([job], [("hit", "pdf:10s:stripe")])


def test_a_gate_tells_how_long_a_job_waits_before_it_is_parked() -> None:
    job, limits, told = Gated(), LimitsDouble(), list[tuple[str, float]]()
    context = bound(job, limits=limits)
    gate = (
        throttle("stripe").allow(5).every(10).on_wait(lambda of, wait: told.append((of.name, wait)))
    )
    gate(job, lambda _: None)
    assert told == []
    limits.shut[RATE.key] = 4.0
    gate(job, lambda _: pytest.fail("it was shut"))
    assert told == [(job.name, 4.0)]
    assert context.order == Order("park", quotas=(RATE,))


def test_many_limits_are_taken_each_on_its_own() -> None:
    job, limits = Gated(), LimitsDouble()
    limits.shut["mail:60s:ada"] = 4.0
    running.set(None)
    with pytest.raises(NotRunning, match="take_each"):
        take_each("mail", [Limit.per_minute(1)])
    bound(job, limits=limits)
    wanted = [Limit.per_minute(1).by("ada"), Limit.none(), Limit.per_minute(1).by("kurt")]
    assert take_each("mail", wanted) == [4.0, None, None]
    assert take_each("mail", [Limit.none()]) == [None]
    with pytest.raises(LimitDefinitionError, match="only rates"):
        take_each("mail", [Limit.concurrency(1)])
