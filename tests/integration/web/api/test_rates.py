"""So many requests a minute by token, said in headers; without Redis nobody is turned away."""

import pytest
import redis

from meet2be.web.api.rates import PER_WINDOW, WINDOW, Rates
from onqueue.testing.clock import FakeClock
from support.api import program
from support.stage import Stage

NOWHERE = "redis://127.0.0.1:1/0"


def test_requests_are_counted_by_token(stage: Stage, redis_url: str) -> None:
    tenant, app = stage.conference.tenant, stage.web.app
    parts = app.extensions["meet2be_api"]
    rates = Rates(redis_url, stage.web.services.clock, limit=2)
    app.extensions["meet2be_api"] = type(parts)(rates, parts.cursors)
    one, other = program(stage.web, tenant), program(stage.web, tenant)
    first, second = one.ask("GET", "/me"), one.ask("GET", "/events")
    assert [a.headers["RateLimit-Remaining"] for a in (first, second)] == ["1", "0"]
    assert first.headers["RateLimit-Limit"] == "2"
    over = one.ask("GET", "/me")
    assert (over.status_code, over.get_json()["code"]) == (429, "too_many_requests")
    assert 1 <= int(over.headers["Retry-After"]) <= WINDOW
    assert other.ask("GET", "/me").status_code == 200
    with redis.Redis.from_url(redis_url) as client:
        keys = list(client.scan_iter("meet2be:api-rate:*"))
        assert len(keys) == 2
        assert all(0 < client.pttl(key) <= WINDOW * 1000 for key in keys)


def test_without_redis_requests_go_through_and_it_is_not_asked_each_time(
    stage: Stage, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    rates = Rates(NOWHERE, clock)
    assert rates.count("a") is None
    assert rates.count("a") is None
    assert len(caplog.records) == 1
    clock.advance(6)
    assert rates.count("a") is None
    assert len(caplog.records) == 2
    answer = program(stage.web, stage.conference.tenant).ask("GET", "/me")
    assert answer.status_code == 200
    assert "RateLimit-Limit" not in answer.headers
    assert PER_WINDOW >= 60
