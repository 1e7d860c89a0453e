"""Idempotency keys, by the rules of Stripe's API v1."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import stripe

from simulators.processes import ProviderProcess
from support.simulators import calls, stripe_client
from support.waiting import eventually

DAY = 24 * 3600


def refund(client: stripe.StripeClient, payment: str, key: str, amount: int = 100) -> stripe.Refund:
    return client.v1.refunds.create(
        {"payment_intent": payment, "amount": amount},
        # the provider is shared by tests, a payment is not
        {"idempotency_key": f"{payment}-{key}"},
    )


def refunds_of(provider: ProviderProcess, payment: str) -> list[str]:
    ledger = provider.control.ledger()
    return [item["id"] for item in ledger["refunds"] if item["payment_intent"] == payment]


def test_the_same_key_gives_the_same_answer_and_refunds_once(provider: ProviderProcess) -> None:
    before = calls(provider, "idempotency.replay")
    client = stripe_client(provider.url)
    payment = provider.control.create_payment(5000)
    first, second = refund(client, payment, "k"), refund(client, payment, "k")
    assert first.id == second.id
    assert first.last_response is not None
    assert second.last_response is not None
    assert "Idempotent-Replayed" not in first.last_response.headers
    assert second.last_response.headers["Idempotent-Replayed"] == "true"
    assert second.last_response.headers["Original-Request"] == first.last_response.request_id
    assert refunds_of(provider, payment) == [first.id]
    assert calls(provider, "idempotency.replay") == before + 1


def test_a_refusal_is_stored_too(provider: ProviderProcess) -> None:
    client, control = stripe_client(provider.url), provider.control
    payment = control.create_payment(5000)
    control.rule("refuse", code="expired_or_canceled_card", times=1)
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            refund(client, payment, "k")
        assert refused.value.code == "expired_or_canceled_card"
    assert refund(client, payment, "new key").status == "succeeded"


def test_a_failure_of_the_provider_is_stored_too(provider: ProviderProcess) -> None:
    client, control = stripe_client(provider.url), provider.control
    payment = control.create_payment(5000)
    control.rule("error_before", times=1)
    for _ in range(2):
        with pytest.raises(stripe.APIError) as failed:
            refund(client, payment, "k")
        assert failed.value.http_status == 500
    assert refunds_of(provider, payment) == []
    assert refund(client, payment, "new key").status == "succeeded"


def test_a_failed_validation_is_not_stored(provider: ProviderProcess) -> None:
    client = stripe_client(provider.url)
    payment = provider.control.create_payment(5000)
    with pytest.raises(stripe.InvalidRequestError, match="Invalid positive integer"):
        refund(client, payment, "k", amount=0)
    assert refund(client, payment, "k").status == "succeeded"


def test_a_rate_limit_is_not_stored(provider: ProviderProcess) -> None:
    client, control = stripe_client(provider.url), provider.control
    payment = control.create_payment(5000)
    control.rule("rate_limit", times=1)
    with pytest.raises(stripe.RateLimitError):
        refund(client, payment, "k")
    assert refund(client, payment, "k").status == "succeeded"


def test_a_key_with_other_parameters_is_an_error(provider: ProviderProcess) -> None:
    before = calls(provider, "idempotency.mismatch")
    client = stripe_client(provider.url)
    payment = provider.control.create_payment(5000)
    refund(client, payment, "k")
    with pytest.raises(stripe.IdempotencyError) as mismatch:
        refund(client, payment, "k", amount=200)
    assert mismatch.value.http_status == 400
    with pytest.raises(stripe.IdempotencyError):
        client.v1.payment_intents.create(
            {"amount": 100, "currency": "eur"}, {"idempotency_key": f"{payment}-k"}
        )
    assert calls(provider, "idempotency.mismatch") == before + 2


def test_a_key_in_use_is_a_conflict_and_is_answered_once_it_is_done(
    provider: ProviderProcess,
) -> None:
    control = provider.control
    before = calls(provider, "refund.create")
    payment = control.create_payment(5000)
    control.rule("latency", ms=2000, times=1)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(refund, stripe_client(provider.url), payment, "k")
        eventually(lambda: calls(provider, "refund.create") == before + 1)
        with pytest.raises(stripe.APIError) as conflict:
            refund(stripe_client(provider.url), payment, "k")
        made = slow.result()
    assert conflict.value.http_status == 409
    # The library leaves `code` of an APIError empty; the error object has it.
    assert conflict.value.error is not None
    assert conflict.value.error.code == "idempotency_key_in_use"
    assert refund(stripe_client(provider.url), payment, "k").id == made.id
    assert refunds_of(provider, payment) == [made.id]


def test_a_key_is_forgotten_after_a_day(own_provider: ProviderProcess) -> None:
    client, control = stripe_client(own_provider.url), own_provider.control
    payment = control.create_payment(5000)
    first = refund(client, payment, "k")
    control.advance_clock(DAY - 60)
    assert refund(client, payment, "k").id == first.id
    control.advance_clock(120)
    second = refund(client, payment, "k")
    assert second.id != first.id
    assert second.created - first.created >= DAY
    assert len(refunds_of(own_provider, payment)) == 2


def test_keys_and_the_clock_survive_a_kill(own_provider: ProviderProcess) -> None:
    client, control = stripe_client(own_provider.url), own_provider.control
    payment = control.create_payment(5000)
    now = control.advance_clock(1000)
    first = refund(client, payment, "k")
    own_provider.kill()
    own_provider.start()
    assert refund(stripe_client(own_provider.url), payment, "k").id == first.id
    assert control.summary()["now"] >= now


def test_keys_belong_to_an_account(provider: ProviderProcess) -> None:
    client, control = stripe_client(provider.url), provider.control
    ours, theirs = control.create_payment(5000), control.create_payment(5000, account="acct_two")
    key = f"{ours}-same"
    first = client.v1.refunds.create({"payment_intent": ours}, {"idempotency_key": key})
    second = client.v1.refunds.create(
        {"payment_intent": theirs}, {"idempotency_key": key, "stripe_account": "acct_two"}
    )
    assert [first.payment_intent, second.payment_intent] == [ours, theirs]
