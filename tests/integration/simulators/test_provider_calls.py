"""The calls of Stripe's API, made by Stripe's own library."""

import pytest
import stripe

from simulators.control import ControlError, ProviderControl
from simulators.processes import ProviderProcess
from support.simulators import stripe_client


def test_a_payment_made_over_the_api_is_paid_and_found_again(client: stripe.StripeClient) -> None:
    made = client.v1.payment_intents.create(
        {"amount": 4990, "currency": "EUR", "confirm": True, "metadata": {"order": "o-1"}}
    )
    found = client.v1.payment_intents.retrieve(made.id, {"expand": ["latest_charge"]})
    assert (found.status, found.amount_received, found.currency) == ("succeeded", 4990, "eur")
    assert found.metadata["order"] == "o-1"
    charge = found.latest_charge
    assert isinstance(charge, stripe.Charge)
    assert (charge.amount_refunded, charge.refunded, charge.disputed) == (0, False, False)
    newest = client.v1.payment_intents.list({"limit": 1})
    assert [item.id for item in newest.data] == [made.id]


def test_an_unconfirmed_payment_has_no_charge_to_refund(client: stripe.StripeClient) -> None:
    made = client.v1.payment_intents.create({"amount": 100, "currency": "eur"})
    assert made.latest_charge is None
    with pytest.raises(stripe.InvalidRequestError, match="no successful charge"):
        client.v1.refunds.create({"payment_intent": made.id})


def test_a_refund_carries_our_metadata_and_raises_what_the_charge_has_refunded(
    client: stripe.StripeClient, control: ProviderControl
) -> None:
    payment = control.create_payment(5000)
    refund = client.v1.refunds.create(
        {
            "payment_intent": payment,
            "amount": 1500,
            "reason": "requested_by_customer",
            "metadata": {"refund": "r-1", "note": "Käse & Brot"},
        }
    )
    assert (refund.object, refund.status, refund.amount) == ("refund", "succeeded", 1500)
    assert refund.metadata is not None
    assert refund.metadata.to_dict() == {"refund": "r-1", "note": "Käse & Brot"}
    assert isinstance(refund.charge, str)
    charge = client.v1.charges.retrieve(refund.charge)
    assert (charge.amount_refunded, charge.refunded) == (1500, False)
    assert client.v1.refunds.retrieve(refund.id).reason == "requested_by_customer"


def test_without_an_amount_the_rest_is_refunded_by_charge_too(
    client: stripe.StripeClient, control: ProviderControl
) -> None:
    item = control.create_payments([{"amount": 5000, "currency": "eur", "refunded": 1200}])[0]
    refund = client.v1.refunds.create({"charge": item["charge"]})
    assert refund.amount == 3800
    assert client.v1.charges.retrieve(item["charge"]).refunded is True


def test_refunds_are_listed_newest_first_in_pages(
    client: stripe.StripeClient, control: ProviderControl
) -> None:
    payment, other = control.create_payment(5000), control.create_payment(5000)
    made = [
        client.v1.refunds.create({"payment_intent": payment, "amount": 100}).id for _ in range(7)
    ]
    client.v1.refunds.create({"payment_intent": other, "amount": 100})
    first = client.v1.refunds.list({"payment_intent": payment, "limit": 3})
    assert [item.id for item in first.data] == made[:3:-1]
    assert first.has_more is True
    second = client.v1.refunds.list(
        {"payment_intent": payment, "limit": 3, "starting_after": first.data[-1].id}
    )
    assert [item.id for item in second.data] == made[3:0:-1]
    back = client.v1.refunds.list(
        {"payment_intent": payment, "limit": 3, "ending_before": second.data[0].id}
    )
    assert [item.id for item in back.data] == [item.id for item in first.data]
    everything = client.v1.refunds.list({"payment_intent": payment, "limit": 2})
    assert [item.id for item in everything.auto_paging_iter()] == made[::-1]


def test_refunds_are_listed_by_charge_and_by_time(
    client: stripe.StripeClient, control: ProviderControl
) -> None:
    item = control.create_payments([{"amount": 5000, "currency": "eur"}])[0]
    refund = client.v1.refunds.create({"charge": item["charge"], "amount": 100})
    listed = client.v1.refunds.list({"charge": item["charge"], "created": {"gte": refund.created}})
    assert [found.id for found in listed.data] == [refund.id]
    later = client.v1.refunds.list(
        {"charge": item["charge"], "created": {"gt": refund.created + 60}}
    )
    assert later.data == []


def test_a_refund_can_be_expanded(client: stripe.StripeClient, control: ProviderControl) -> None:
    payment = control.create_payment(5000)
    refund = client.v1.refunds.create({"payment_intent": payment, "expand": ["charge"]})
    assert isinstance(refund.charge, stripe.Charge)
    assert refund.charge.amount_refunded == 5000
    listed = client.v1.refunds.list({"payment_intent": payment, "expand": ["data.payment_intent"]})
    assert isinstance(listed.data[0].payment_intent, stripe.PaymentIntent)


def test_metadata_of_a_refund_is_merged_and_emptied(
    client: stripe.StripeClient, control: ProviderControl
) -> None:
    payment = control.create_payment(5000)
    refund = client.v1.refunds.create({"payment_intent": payment, "metadata": {"a": "1", "b": "2"}})
    updated = client.v1.refunds.update(refund.id, {"metadata": {"a": "", "c": "3"}})
    assert updated.metadata is not None
    assert updated.metadata.to_dict() == {"b": "2", "c": "3"}


def test_the_balance_falls_by_what_is_refunded(own_provider: ProviderProcess) -> None:
    client, control = stripe_client(own_provider.url), own_provider.control
    payment = control.create_payment(5000)
    control.create_payment(700, "jpy")
    client.v1.refunds.create({"payment_intent": payment, "amount": 1000})
    balance = client.v1.balance.retrieve()
    assert {item.currency: item.amount for item in balance.available} == {"eur": 4000, "jpy": 700}


def test_events_can_be_listed_and_retrieved(
    client: stripe.StripeClient, control: ProviderControl
) -> None:
    refund = client.v1.refunds.create({"payment_intent": control.create_payment(5000)})
    newest = client.v1.events.list({"limit": 1, "type": "refund.created"}).data[0]
    assert newest.data.object["id"] == refund.id
    assert client.v1.events.retrieve(newest.id).type == "refund.created"
    kinds = [event.type for event in client.v1.events.list({"limit": 2}).data]
    assert kinds == ["charge.refunded", "refund.created"]


@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
        ({}, "parameter_missing", "payment_intent"),
        ({"amount": 0}, "parameter_invalid_integer", "amount"),
        ({"amount": -5}, "parameter_invalid_integer", "amount"),
        ({"amount": "1.5"}, "parameter_invalid_integer", "amount"),
        ({"amonut": 1}, "parameter_unknown", "amonut"),
        ({"payment_intent": "pi_x", "charge": "ch_x"}, "parameters_exclusive", "payment_intent"),
        ({"payment_intent": "pi_x", "reason": "rain"}, None, "reason"),
        ({"payment_intent": "pi_x", "metadata": {"k" * 41: "v"}}, None, f"metadata[{'k' * 41}]"),
        ({"payment_intent": "pi_x", "metadata": {"k": "v" * 501}}, None, "metadata[k]"),
        ({"payment_intent": "pi_nowhere"}, "resource_missing", "payment_intent"),
    ],
    ids=str,
)
def test_a_wrong_refund_is_refused_as_stripe_words_it(
    client: stripe.StripeClient, params: dict[str, object], code: str | None, param: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.refunds.create(params)  # type: ignore[arg-type]
    assert (refused.value.code, refused.value.param) == (code, param)
    assert refused.value.request_id is not None


def test_more_than_was_paid_cannot_be_refunded(
    client: stripe.StripeClient, control: ProviderControl
) -> None:
    payment = control.create_payment(5000)
    client.v1.refunds.create({"payment_intent": payment, "amount": 4000})
    with pytest.raises(stripe.InvalidRequestError) as too_much:
        client.v1.refunds.create({"payment_intent": payment, "amount": 1001})
    assert (too_much.value.code, too_much.value.param) == (None, "amount")
    client.v1.refunds.create({"payment_intent": payment, "amount": 1000})
    with pytest.raises(stripe.InvalidRequestError) as nothing_left:
        client.v1.refunds.create({"payment_intent": payment, "amount": 1})
    assert nothing_left.value.code == "charge_already_refunded"


def test_a_disputed_charge_cannot_be_refunded(
    client: stripe.StripeClient, control: ProviderControl
) -> None:
    payment = control.create_payment(5000)
    control.dispute(payment)
    intent = client.v1.payment_intents.retrieve(payment, {"expand": ["latest_charge"]})
    assert isinstance(intent.latest_charge, stripe.Charge)
    assert intent.latest_charge.disputed is True
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.refunds.create({"payment_intent": payment})
    assert refused.value.code == "charge_disputed"


def test_wrong_keys_and_unknown_paths_are_refused(provider: ProviderProcess) -> None:
    stranger = stripe.StripeClient("sk_live_x", base_addresses={"api": provider.url})
    with pytest.raises(stripe.AuthenticationError, match="Invalid API key"):
        stranger.v1.balance.retrieve()
    client = stripe_client(provider.url)
    with pytest.raises(stripe.InvalidRequestError, match="Unrecognized request URL"):
        client.v1.customers.list()


def test_an_account_does_not_see_the_payments_of_another(
    client: stripe.StripeClient, control: ProviderControl
) -> None:
    payment = control.create_payment(5000, account="acct_one")
    with pytest.raises(stripe.InvalidRequestError, match="No such payment_intent"):
        client.v1.refunds.create({"payment_intent": payment})
    refund = client.v1.refunds.create({"payment_intent": payment}, {"stripe_account": "acct_one"})
    recorded = {item["id"]: item for item in control.ledger()["refunds"]}[refund.id]
    assert recorded["account"] == "acct_one"


def test_five_thousand_payments_are_created_at_once_and_only_once(
    own_provider: ProviderProcess,
) -> None:
    control = own_provider.control
    wanted = [
        {
            "ref": f"i-{n}",
            "payment_intent": f"pi_{n}",
            "amount": 100 + n,
            "currency": "eur",
            "metadata": {"note": "x" * 400},
        }
        for n in range(5000)
    ]
    assert all(item["new"] for item in control.create_payments(wanted))
    assert not any(item["new"] for item in control.create_payments(wanted))
    summary = control.summary()
    assert summary["payments"]["eur"]["payments"] == 5000
    assert summary["payments"]["eur"]["charged"] == sum(100 + n for n in range(5000))
    with pytest.raises(ControlError, match="'pi_7' exists with 107 eur, not 5 eur"):
        control.create_payments([{"payment_intent": "pi_7", "amount": 5, "currency": "eur"}])
    with pytest.raises(ControlError, match="Payment 1 has amount '0'"):
        control.create_payments([{"amount": 1, "currency": "eur"}, {"amount": 0}])
    assert control.summary()["payments"]["eur"]["payments"] == 5000


def test_the_ledger_tells_every_charge_and_refund(own_provider: ProviderProcess) -> None:
    client, control = stripe_client(own_provider.url), own_provider.control
    payment = control.create_payment(5000, refunded=500, ref="i-1", disputed=False)
    client.v1.refunds.create(
        {"payment_intent": payment, "amount": 700, "metadata": {"refund": "r-1"}},
        {"idempotency_key": "key-1"},
    )
    control.dashboard_refund(payment, 300)
    ledger = control.ledger()
    assert [(item["origin"], item["amount"]) for item in ledger["refunds"]] == [
        ("before", 500),
        ("api", 700),
        ("dashboard", 300),
    ]
    assert ledger["refunds"][1]["metadata"] == {"refund": "r-1"}
    assert ledger["refunds"][1]["idempotency_key"] == "key-1"
    assert ledger["charges"][0]["refunded"] == 1500
    assert ledger["charges"][0]["metadata"] == {"ref": "i-1"}
    assert ledger["refunds_by_currency"]["eur"]["api"] == {"succeeded": {"count": 1, "amount": 700}}
    assert ledger["payments_with_several_api_refunds"] == {}
    assert ledger["calls"]["refund.create"] == 1
