"""Every switch of the provider, seen through Stripe's own library."""

from time import perf_counter

import pytest
import stripe

from simulators.control import ControlError, ProviderControl
from simulators.processes import ProviderProcess
from support.simulators import calls, stripe_client
from support.waiting import eventually


def refund(client: stripe.StripeClient, payment: str, key: str = "k") -> stripe.Refund:
    return client.v1.refunds.create(
        {"payment_intent": payment, "amount": 100},
        {"idempotency_key": f"{payment}-{key}"},
    )


def refunds_of(control: ProviderControl, payment: str) -> list[str]:
    ledger = control.ledger()
    return [item["id"] for item in ledger["refunds"] if item["payment_intent"] == payment]


def test_latency_is_what_every_call_takes(
    client: stripe.StripeClient, control: ProviderControl
) -> None:
    payment = control.create_payment(5000)
    control.behave(latency_ms=150)
    started = perf_counter()
    refund(client, payment)
    client.v1.refunds.list({"payment_intent": payment})
    assert perf_counter() - started >= 0.3


def test_a_time_out_after_succeeding_leaves_a_refund_that_a_look_up_finds(
    client: stripe.StripeClient, control: ProviderControl
) -> None:
    payment = control.create_payment(5000)
    control.rule("timeout_after", times=1)
    with pytest.raises(stripe.APIConnectionError):
        refund(client, payment)
    found = client.v1.refunds.list({"payment_intent": payment}).data
    assert [item.id for item in found] == refunds_of(control, payment)
    assert refund(client, payment).id == found[0].id


def test_the_librarys_own_retry_gets_the_replay(
    provider: ProviderProcess, control: ProviderControl
) -> None:
    payment = control.create_payment(5000)
    control.rule("timeout_after", times=1)
    made = refund(stripe_client(provider.url, retries=1), payment)
    assert refunds_of(control, payment) == [made.id]


def test_a_client_that_gives_up_waiting_was_refunded_all_the_same(
    provider: ProviderProcess, control: ProviderControl
) -> None:
    payment = control.create_payment(5000)
    control.rule("timeout_after", seconds=30, times=1)
    impatient = stripe.StripeClient(
        "sk_test_x",
        base_addresses={"api": provider.url},
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=0.3),
    )
    with pytest.raises(stripe.APIConnectionError):
        refund(impatient, payment)
    eventually(lambda: len(refunds_of(control, payment)) == 1)


def test_a_client_that_dies_during_the_latency_was_refunded_all_the_same(
    provider: ProviderProcess, control: ProviderControl
) -> None:
    payment = control.create_payment(5000)
    control.rule("latency", ms=600, times=1)
    impatient = stripe.StripeClient(
        "sk_test_x",
        base_addresses={"api": provider.url},
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=0.1),
    )
    with pytest.raises(stripe.APIConnectionError):
        refund(impatient, payment)
    eventually(lambda: len(refunds_of(control, payment)) == 1)


def test_a_hang_before_doing_it_leaves_nothing(
    client: stripe.StripeClient, control: ProviderControl
) -> None:
    payment = control.create_payment(5000)
    control.rule("hang_before", seconds=0.2, times=1)
    with pytest.raises(stripe.APIConnectionError):
        refund(client, payment)
    assert refunds_of(control, payment) == []
    assert refund(client, payment).status == "succeeded"


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateways_error_before_doing_it_stores_nothing(
    client: stripe.StripeClient, control: ProviderControl, status: int
) -> None:
    payment = control.create_payment(5000)
    control.rule("error_before", status=status, times=1)
    with pytest.raises(stripe.APIError) as failed:
        refund(client, payment)
    assert failed.value.http_status == status
    assert refunds_of(control, payment) == []
    assert refund(client, payment).status == "succeeded"


def test_a_gateways_error_after_doing_it_hides_a_refund(
    client: stripe.StripeClient, control: ProviderControl
) -> None:
    payment = control.create_payment(5000)
    control.rule("error_after", status=502, times=1)
    with pytest.raises(stripe.APIError):
        refund(client, payment)
    assert [refund(client, payment).id] == refunds_of(control, payment)


def test_a_stored_error_after_doing_it_is_replayed_for_ever_though_the_refund_is_there(
    client: stripe.StripeClient, control: ProviderControl
) -> None:
    payment = control.create_payment(5000)
    control.rule("error_after", times=1)
    for _ in range(2):
        with pytest.raises(stripe.APIError) as failed:
            refund(client, payment)
        assert failed.value.http_status == 500
    assert len(client.v1.refunds.list({"payment_intent": payment}).data) == 1


def test_a_refusal_can_be_for_one_payment_only(
    client: stripe.StripeClient, control: ProviderControl
) -> None:
    closed, fine = control.create_payment(5000), control.create_payment(5000)
    control.rule("refuse", subject=closed, code="expired_or_canceled_card", status=402)
    with pytest.raises(stripe.CardError) as refused:
        refund(client, closed)
    assert refused.value.code == "expired_or_canceled_card"
    assert refund(client, fine).status == "succeeded"


def test_a_refund_left_pending_is_settled_by_a_call(
    client: stripe.StripeClient, control: ProviderControl
) -> None:
    payment = control.create_payment(5000)
    control.rule("pending", reason="charge_pending")
    pending = refund(client, payment)
    assert (pending.status, pending.pending_reason) == ("pending", "charge_pending")
    control.settle(pending.id)
    settled = client.v1.refunds.retrieve(pending.id)
    assert settled.status == "succeeded"
    assert "pending_reason" not in settled
    with pytest.raises(ControlError, match="is 'succeeded' and cannot become 'canceled'"):
        control.settle(pending.id, "canceled")


def test_a_pending_refund_that_fails_can_be_refunded_anew(
    client: stripe.StripeClient, control: ProviderControl
) -> None:
    payment = control.create_payment(100)
    control.rule("pending", times=1)
    pending = refund(client, payment)
    control.settle(pending.id, "failed", "lost_or_stolen_card")
    failed = client.v1.refunds.retrieve(pending.id)
    assert (failed.status, failed.failure_reason) == ("failed", "lost_or_stolen_card")
    assert refund(client, payment, "second").status == "succeeded"


def test_a_pending_refund_settles_by_the_clock(own_provider: ProviderProcess) -> None:
    client, control = stripe_client(own_provider.url), own_provider.control
    payment = control.create_payment(5000)
    control.rule("pending", settle_after=3600)
    pending = refund(client, payment)
    control.advance_clock(3599 - 60)
    assert client.v1.refunds.retrieve(pending.id).status == "pending"
    control.advance_clock(120)
    assert client.v1.refunds.retrieve(pending.id).status == "succeeded"


def test_a_refund_that_succeeded_can_fail_days_later(own_provider: ProviderProcess) -> None:
    client, control = stripe_client(own_provider.url), own_provider.control
    payment = control.create_payment(5000)
    control.rule("fail_later", after=5 * 86_400, failure_reason="expired_or_canceled_card")
    made = refund(client, payment)
    assert made.status == "succeeded"
    assert control.summary()["balances"][0]["available"] == 4900
    control.advance_clock(6 * 86_400)
    failed = client.v1.refunds.retrieve(made.id)
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    assert control.summary()["balances"][0]["available"] == 5000
    assert control.summary()["payments"]["eur"]["refunded"] == 0


def test_a_lack_of_funds_can_be_an_error(own_provider: ProviderProcess) -> None:
    client, control = stripe_client(own_provider.url), own_provider.control
    euros, yens = control.create_payment(5000), control.create_payment(5000, "jpy")
    control.behave(funds="error")
    control.set_balance("eur", 99)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        refund(client, euros)
    assert refused.value.code == "balance_insufficient"
    assert refund(client, yens).status == "succeeded"


def test_a_lack_of_funds_can_leave_refunds_pending_until_there_are_some(
    own_provider: ProviderProcess,
) -> None:
    client, control = stripe_client(own_provider.url), own_provider.control
    first, second = control.create_payment(5000), control.create_payment(5000)
    control.behave(funds="pending")
    control.set_balance("eur", 0)
    made = [refund(client, first), refund(client, second)]
    assert [(item.status, item.pending_reason) for item in made] == [
        ("pending", "insufficient_funds")
    ] * 2
    control.set_balance("eur", 150)
    assert [client.v1.refunds.retrieve(item.id).status for item in made] == [
        "succeeded",
        "pending",
    ]
    assert control.summary()["balances"][0]["available"] == 50


def test_a_rule_with_a_probability_strikes_about_so_often(
    client: stripe.StripeClient, control: ProviderControl
) -> None:
    payments = control.create_payments(
        [{"amount": 100, "currency": "eur", "payment_intent": f"pi_lot{n}"} for n in range(60)]
    )
    control.behave(seed=3, rules=[{"kind": "refuse", "probability": 0.3}])
    refused = 0
    for item in payments:
        try:
            refund(client, item["payment_intent"])
        except stripe.InvalidRequestError:
            refused += 1
    assert 8 <= refused <= 28


def test_switches_survive_a_kill_and_are_used_up_only_once(own_provider: ProviderProcess) -> None:
    client, control = stripe_client(own_provider.url), own_provider.control
    payment = control.create_payment(5000)
    control.rule("refuse", times=1)
    with pytest.raises(stripe.InvalidRequestError):
        refund(client, payment)
    own_provider.kill()
    own_provider.start()
    assert control.behaviour()["rules"][0]["times"] == 0
    assert refund(stripe_client(own_provider.url), payment, "second").status == "succeeded"
    assert calls(own_provider, "refund.create") == 2


def test_an_unknown_switch_is_refused_and_changes_nothing(control: ProviderControl) -> None:
    before = control.behaviour()
    with pytest.raises(ControlError, match="Unknown rule kind 'explode'"):
        control.rule("explode")
    assert control.behaviour() == before


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        ("/_sim/behaviour", [], "the body must be an object"),
        ("/_sim/payments", {}, "the body must be a list"),
        ("/_sim/clock", {"advance_seconds": -1}, "The clock only goes forward"),
        ("/_sim/clock", {}, "advance_seconds"),
        ("/_sim/nothing", {}, "There is no helper call"),
    ],
)
def test_a_wrong_helper_call_is_answered_with_what_is_wrong(
    control: ProviderControl, path: str, body: object, text: str
) -> None:
    method = "PUT" if path.endswith("behaviour") else "POST"
    with pytest.raises(ControlError, match=text):
        control._call(method, path, body)


def test_two_providers_do_not_share_a_folder(
    own_provider: ProviderProcess,
) -> None:
    second = ProviderProcess(own_provider.data)
    with pytest.raises(RuntimeError, match="is already served"):
        second.start()
    assert own_provider.control.healthy()
