"""What becomes of a job: the whole table."""

from typing import Any

import pytest

from onqueue.errors import MaxAttemptsExceeded, RetryUntilPassed, TimeoutExceeded
from onqueue.job_context import Order
from onqueue.quotas import Quota
from onqueue.worker.decision import (
    Done,
    Facts,
    Fail,
    Interrupted,
    Limits,
    Park,
    Raised,
    Release,
    Result,
    Returned,
    TimedOut,
    after_memory,
    decide,
    refusal,
)

ERROR = ValueError("no")
RATE = Quota("rate", "api", 5, 60)
NOW = 1000.0


def facts(attempts: int = 0, exceptions: int = 0, luck: float = 0.0) -> Facts:
    return Facts("Export", attempts, exceptions, NOW, luck)


@pytest.mark.parametrize(
    ("result", "decision"),
    [
        (Returned(), Done("succeeded")),
        (Returned(handled=False), Done("skipped")),
        (Order("delete"), Done("succeeded")),
        (Order("skip"), Done("skipped")),
        (Order("release", delay=7), Release("released", 7, attempts=2, exceptions=1)),
        (Order("snooze", delay=7), Release("snoozed", 7, attempts=1, exceptions=1, deaths=0)),
        (Order("park", lock="l"), Park("l")),
        (Order("park", quotas=(RATE,)), Park("", quotas=(RATE,))),
        (Order("fail", error=ERROR), Fail(ERROR, attempts=2)),
        (Interrupted(), Release("interrupted", 0.0, attempts=1, exceptions=1)),
    ],
)
def test_what_was_asked_for_happens_whatever_the_limits(result: Result, decision: object) -> None:
    """C8, B13."""
    assert decide(result, Limits(tries=1), facts(attempts=1, exceptions=1)) == decision


@pytest.mark.parametrize(
    ("limits", "attempts", "exceptions", "is_final"),
    [
        ({"tries": 3}, 0, 0, False),
        ({"tries": 3}, 1, 0, False),
        ({"tries": 3}, 2, 0, True),
        ({"tries": 1}, 0, 0, True),
        ({"tries": 0}, 10_000, 0, False),
        ({"tries": 25, "max_exceptions": 3}, 4, 1, False),
        ({"tries": 25, "max_exceptions": 3}, 4, 2, True),
        ({"tries": 1, "retry_until": NOW + 10}, 5, 5, False),
        ({"tries": 0, "retry_until": NOW}, 0, 0, True),
        ({"tries": 0, "retry_until": NOW + 10, "max_exceptions": 1}, 0, 0, True),
    ],
)
@pytest.mark.parametrize("result", [Raised(ERROR), TimedOut()])
def test_the_last_allowed_attempt_fails_and_others_come_back(
    result: Result, limits: dict[str, Any], attempts: int, exceptions: int, is_final: bool
) -> None:
    """K2, K3, K4."""
    decision = decide(result, Limits(**limits), facts(attempts, exceptions))
    if is_final:
        assert isinstance(decision, Fail)
        assert decision.attempts == attempts + 1
    else:
        assert isinstance(decision, Release)
        assert (decision.attempts, decision.exceptions) == (attempts + 1, exceptions + 1)


@pytest.mark.parametrize(
    ("attempts", "delay"), [(0, 1.0), (1, 5.0), (2, 10.0), (3, 10.0), (40, 10.0)]
)
def test_backoff_goes_by_the_attempt_and_its_last_element_repeats(
    attempts: int, delay: float
) -> None:
    """K9."""
    decision = decide(Raised(ERROR), Limits(tries=0, backoff=(1, 5, 10)), facts(attempts))
    assert isinstance(decision, Release)
    assert decision.delay == delay


def test_jitter_adds_its_share_of_the_backoff_and_never_takes_away() -> None:
    limits = Limits(tries=0, backoff=(10,), jitter=0.5)
    delays = [decide(Raised(ERROR), limits, facts(luck=luck)) for luck in (0.0, 0.5, 1.0)]
    assert [one.delay for one in delays if isinstance(one, Release)] == [10.0, 12.5, 15.0]


def test_a_timeout_may_be_final_by_itself_and_names_its_limit() -> None:
    limits = Limits(tries=9, timeout=30, fail_on_timeout=True)
    decision = decide(TimedOut(), limits, facts())
    assert isinstance(decision, Fail)
    assert decision.timed_out
    assert isinstance(decision.error, TimeoutExceeded)
    assert "30 s" in str(decision.error)


def test_a_failed_job_keeps_its_own_error() -> None:
    """K2."""
    decision = decide(Raised(ERROR), Limits(tries=1), facts())
    assert decision == Fail(ERROR, attempts=1)


@pytest.mark.parametrize(
    ("limits", "attempts", "refused"),
    [
        ({"tries": 2}, 1, None),
        ({"tries": 2}, 2, MaxAttemptsExceeded),
        ({"tries": 0}, 999, None),
        ({"tries": 1, "retry_until": NOW}, 5, None),
        ({"tries": 1, "retry_until": NOW - 0.001}, 0, RetryUntilPassed),
    ],
)
def test_before_the_run_only_more_than_the_tries_and_a_passed_deadline_refuse(
    limits: dict[str, Any], attempts: int, refused: type[Exception] | None
) -> None:
    """K2, K3, C5."""
    found = refusal(Limits(**limits), facts(attempts))
    assert (None if found is None else type(found)) is refused


@pytest.mark.parametrize(
    ("limits", "attempts", "decision"),
    [
        (Limits(tries=3), 1, Release("released", 9, 2, 1, ERROR)),
        (Limits(tries=3), 2, Fail(ERROR, 3)),
        (Limits(tries=1, retry_until=NOW - 1), 0, Fail(ERROR, 1)),
        (Limits(tries=0), 99, Release("released", 9, 100, 1, ERROR)),
    ],
)
def test_a_release_after_an_exception_fails_with_it_when_no_attempt_is_left(
    limits: Limits, attempts: int, decision: object
) -> None:
    """C55."""
    order = Order("release", delay=9, error=ERROR)
    assert decide(order, limits, facts(attempts, exceptions=1)) == decision


def test_what_a_kill_for_memory_costs_is_an_attempt_with_its_backoff_or_the_job() -> None:
    limits = Limits(tries=2, backoff=(7.0,), memory=100.0)
    first = after_memory(limits, Facts("A", 0, 0, 0.0))
    last = after_memory(limits, Facts("A", 1, 0, 0.0))
    assert isinstance(first, Release)
    assert (first.delay, first.attempts) == (7.0, 1)
    assert isinstance(last, Fail)
    assert "twice its memory limit of 100 MiB" in str(last.error)
