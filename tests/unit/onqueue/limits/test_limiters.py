"""Limiters by name."""

from collections.abc import Iterator
from typing import Any

import pytest

from onqueue import Job
from onqueue.errors import LimitDefinitionError, UnknownLimiter
from onqueue.limits import Limit, RateLimiter
from onqueue.quotas import Quota


class Call(Job):
    customer: str = "acme"

    def handle(self) -> None: ...


@pytest.fixture(autouse=True)
def _only_mine() -> Iterator[None]:
    yield
    for name in ("api", "apis"):
        RateLimiter.forget(name)


def test_what_a_limiter_allows_may_depend_on_the_job() -> None:
    RateLimiter.define("api", lambda job: Limit.per_minute(30).by(job.customer))
    assert RateLimiter.quotas("api", Call("globex")) == [Quota("rate", "api:60s:globex", 30, 60.0)]


def test_several_limits_are_all_counted_and_the_same_one_once() -> None:
    RateLimiter.define(
        "api", lambda _: [Limit.per_second(9), Limit.per_day(99), Limit.per_second(5), Limit.none()]
    )
    quotas = RateLimiter.quotas("api", Call())
    assert [(quota.key, quota.most) for quota in quotas] == [("api:1s:", 5), ("api:86400s:", 99)]


@pytest.mark.parametrize("answer", [None, Limit.none(), [], [None]])
def test_a_limiter_may_let_a_job_through_without_counting(answer: Any) -> None:
    RateLimiter.define("api", lambda _: answer)
    assert RateLimiter.quotas("api", Call()) == []


def test_an_unknown_limiter_is_told_with_the_nearest() -> None:
    """C54."""
    RateLimiter.define("apis", lambda _: None)
    with pytest.raises(UnknownLimiter, match=r"'Call' asks for limiter 'api'.*mean 'apis'"):
        RateLimiter.quotas("api", Call())
    assert "apis" in RateLimiter.names()


def test_a_rule_that_returns_something_else_is_refused() -> None:
    RateLimiter.define("api", lambda _: 30)  # type: ignore[arg-type, return-value]
    with pytest.raises(LimitDefinitionError, match="must return a Limit"):
        RateLimiter.quotas("api", Call())
    with pytest.raises(LimitDefinitionError, match="callable with a job"):
        RateLimiter.define("api", 30)  # type: ignore[arg-type]
