from datetime import timedelta

import pytest

from jobs import process_webhook
from jobs.process_webhook import (
    AT_ONCE,
    PLACES,
    SLOW_AT_ONCE,
    TEST_PLACES,
    TESTS_AT_ONCE,
    ProcessWebhook,
    SendTestWebhook,
)
from jobs.triggers import _one_for_each_delivery
from meet2be.webhooks.errors import EndpointFailsError
from meet2be.webhooks.facts import DeliveriesReady, Ready
from meet2be.webhooks.ledger import Aside
from meet2be.webhooks.speeds import Speeds
from meet2be.webhooks.verdicts import Verdict
from onqueue.limits import RateLimiter
from onqueue.middleware import RateLimited, ThrottlesExceptions


class Deliveries:
    """Gives back what a test wants of a delivery."""

    def __init__(self, found: Verdict | Aside) -> None:
        self.found, self.speeds = found, Speeds()

    def deliver(self, *_arguments: object) -> Verdict | Aside:
        return self.found


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test begin with a process that knows no endpoint."""
    monkeypatch.setattr(process_webhook, "_speeds", [])
    monkeypatch.setattr(process_webhook, "_healthy", set())


def test_a_failure_that_may_pass_releases_and_counts_for_the_breaker() -> None:
    """W7."""
    job = ProcessWebhook(delivery=1, endpoint=7, key="k" * 32)
    told = job.with_fake_queue_interactions()
    with pytest.raises(EndpointFailsError):
        job.handle(Deliveries(Verdict("again", "timeout", "late", 30.0)))  # type: ignore[arg-type]
    told.assert_released(delay=30)


def test_a_refusal_fails_the_job_and_is_not_the_breakers_business() -> None:
    """W3, W10."""
    job = ProcessWebhook(delivery=1, endpoint=7, key="k" * 32)
    told = job.with_fake_queue_interactions()
    job.handle(Deliveries(Verdict("failed", "refused", "HTTP 400")))  # type: ignore[arg-type]
    told.assert_failed()


def test_what_cannot_be_sent_now_waits_without_an_attempt() -> None:
    """W20."""
    job = ProcessWebhook(delivery=1, endpoint=7, key="k" * 32)
    told = job.with_fake_queue_interactions()
    job.handle(Deliveries(Aside("suspended", 600.0)))  # type: ignore[arg-type]
    told.assert_snoozed(delay=600)


def test_endpoints_have_lanes_places_and_a_breaker_of_their_own() -> None:
    """W16, W23."""
    job = ProcessWebhook(delivery=1, endpoint=7, key="k" * 32)
    assert (job.fair_key(), job.unique_id()) == (7, "k" * 32)
    assert timedelta(seconds=1110) < ProcessWebhook.unique_for
    (own,) = RateLimiter.quotas(PLACES, job)
    assert (own.kind, own.most) == ("slots", AT_ONCE)
    assert isinstance(job.middleware()[-1], ThrottlesExceptions)
    slow = Speeds()
    slow.note(7, 12.0)
    process_webhook._speeds.append(slow)
    quotas = RateLimiter.quotas(PLACES, job)
    assert [quota.most for quota in quotas] == [AT_ONCE, SLOW_AT_ONCE]
    other = ProcessWebhook(delivery=2, endpoint=8, key="l" * 32)
    assert len(RateLimiter.quotas(PLACES, other)) == 1, "who is not slow is not held up by these"


def test_an_endpoint_that_was_well_the_last_time_costs_no_question() -> None:
    job = ProcessWebhook(delivery=1, endpoint=7, key="k" * 32)
    job.with_fake_queue_interactions()
    job.handle(Deliveries(Verdict("succeeded", "succeeded", "HTTP 200")))  # type: ignore[arg-type]
    assert len(job.middleware()) == 1


def test_a_test_goes_before_all_that_waits_for_its_endpoint() -> None:
    """W23: a lane and places of its own, no breaker; it is of no account to them either."""
    own, test = (
        kind(delivery=1, endpoint=7, key="k") for kind in (ProcessWebhook, SendTestWebhook)
    )
    assert test.fair_key() != own.fair_key()
    assert [type(gate) for gate in test.middleware()] == [RateLimited]
    told = test.with_fake_queue_interactions()
    assert [quota.most for quota in RateLimiter.quotas(TEST_PLACES, test)] == [1, TESTS_AT_ONCE]
    test.handle(Deliveries(Verdict("failed", "timeout", "late")))  # type: ignore[arg-type]
    told.assert_failed()
    (sent, tried) = _one_for_each_delivery(
        DeliveriesReady(1, (Ready(1, 7, "k"), Ready(2, 7, "l", is_test=True)))
    )
    assert (type(sent), type(tried)) == (ProcessWebhook, SendTestWebhook)


def test_a_test_that_succeeds_leads_no_delivery_past_the_breaker() -> None:
    """W7."""
    own, test = (
        kind(delivery=1, endpoint=7, key="k") for kind in (ProcessWebhook, SendTestWebhook)
    )
    test.with_fake_queue_interactions()
    test.handle(Deliveries(Verdict("succeeded", "succeeded", "HTTP 200")))  # type: ignore[arg-type]
    assert isinstance(own.middleware()[-1], ThrottlesExceptions)
