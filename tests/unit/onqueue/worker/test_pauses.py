"""What a worker does with pauses and limits: it lets jobs wait, and tells each change once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from onqueue import Job, events
from onqueue.limits import funnel, throttle
from onqueue.middleware import Middleware, RateLimited
from onqueue.quotas import Pause
from onqueue.worker.pauses import KnownPauses
from support.child_loop import Bench, hearing, names

MAILS = Pause("job", "Mail.pauses", "the provider is down")
ACME = Pause("tenant", "acme", until=9e9)


class Mail(Job):
    name = "Mail.pauses"

    def handle(self) -> None: ...


class Metered(Job):
    def middleware(self) -> Sequence[Middleware]:
        return [throttle("api").allow(2).every(60), funnel("slots").limit(1)]

    def handle(self) -> None: ...


class Unlimited(Job):
    def middleware(self) -> Sequence[Middleware]:
        return [RateLimited("nobody defined it")]

    def handle(self) -> None: ...


@contextmanager
def hearing_pauses() -> Iterator[list[Any]]:
    """Yield a list that receives what begins and ends."""
    heard: list[Any] = []
    note = heard.append
    for signal in (events.work_paused, events.work_resumed):
        signal.connect(note, weak=False)
    yield heard
    for signal in (events.work_paused, events.work_resumed):
        signal.disconnect(note)


@pytest.mark.parametrize(
    ("pauses", "context", "waits_for"),
    [
        ({MAILS}, {}, ("job:Mail.pauses",)),
        ({MAILS, ACME}, {"tenant": "acme"}, ("job:Mail.pauses", "tenant:acme")),
        ({ACME}, {"tenant": "acme"}, ("tenant:acme",)),
        ({ACME}, {"tenant": "globex"}, None),
        ({Pause("job", "Male")}, {}, None),
        ({Pause("queue", "other")}, {}, None),
    ],
)
def test_jobs_of_a_paused_class_or_tenant_wait_unstarted(
    pauses: set[Pause], context: dict[str, str], waits_for: tuple[str, ...] | None
) -> None:
    """K27."""
    bench = Bench()
    bench.consumer.pauses = frozenset(pauses)
    job_id = bench.put(Mail(), context=context)
    with hearing() as heard:
        bench.run()
    if waits_for is None:
        assert bench.consumer.settled(job_id) == ("done",)
        return
    letters = tuple(f"{key[0]}:{key.partition(':')[2]}" for key in waits_for)
    assert bench.consumer.settled(job_id) == ("wait", *letters)
    assert bench.consumer.started == []
    assert names(heard) == ["JobReleased", "JobAttempted"]
    assert heard[0].outcome == "parked"
    assert heard[0].attempts == 0


def test_a_change_is_told_once_and_what_was_so_before_is_none() -> None:
    """K27."""
    longer = Pause("tenant", "acme", "unpaid")
    known = KnownPauses("redis")
    with hearing_pauses() as heard:
        known.learn(frozenset({ACME}))
        known.learn(frozenset({ACME, MAILS}))
        known.learn(frozenset({ACME, MAILS}))
        known.learn(frozenset({longer, MAILS}))
        known.learn(frozenset({longer}))
    assert known.waiting == {"t:acme"}
    assert heard == [
        events.WorkPaused("redis", "job", "Mail.pauses", "the provider is down", None),
        events.WorkPaused("redis", "tenant", "acme", "unpaid", None),
        events.WorkResumed("redis", "job", "Mail.pauses"),
    ]


def test_a_job_that_meets_a_limit_waits_and_one_that_passes_gives_its_slot_back() -> None:
    """C54."""
    bench = Bench()
    first = bench.put(Metered())
    bench.run()
    assert bench.consumer.settled(first) == ("done",)
    assert bench.consumer.quotas.told[-1] == ("free", first, "funnel:slots")
    bench.consumer.quotas.shut["throttle:60s:api"] = 30.0
    second = bench.put(Metered())
    bench.run()
    assert bench.consumer.settled(second) == ("wait", "throttle:60s:api")


def test_an_unknown_limiter_fails_the_job_at_its_first_attempt() -> None:
    """C54."""
    bench = Bench()
    job_id = bench.put(Unlimited())
    bench.run(tries=5)
    assert bench.consumer.settled(job_id) == ("fail",)
    assert bench.failed.records[0].error_type == "UnknownLimiter"
