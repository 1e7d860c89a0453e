"""Webhooks: signed, repeated, early, late, twice, out of order, and none lost by a kill."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import stripe

from simulators.processes import ProviderProcess
from support.simulators import Receiver, stripe_client, webhook_receiver
from support.waiting import eventually

SECRET = "whsec_test"
BOTH = ["charge.refunded", "refund.created"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhook_receiver() as found:
        yield found


@pytest.fixture
def sender(tmp_path: Path, receiver: Receiver) -> Iterator[ProviderProcess]:
    with ProviderProcess(
        tmp_path / "provider", webhook_url=receiver.url, webhook_secret=SECRET
    ) as process:
        process.control.behave(webhooks={"retry_ms": 50})
        yield process


def refund(sender: ProviderProcess, payment: str | None = None) -> stripe.Refund:
    payment = payment or sender.control.create_payment(5000)
    return stripe_client(sender.url).v1.refunds.create(
        {"payment_intent": payment, "amount": 100, "metadata": {"refund": "r-1"}}
    )


def test_events_are_signed_so_that_the_library_takes_them(
    sender: ProviderProcess, receiver: Receiver
) -> None:
    made = refund(sender)
    eventually(lambda: sorted(receiver.types()) == BOTH)
    events = {}
    for body, signature in receiver.deliveries:
        event = stripe.Webhook.construct_event(body, signature, SECRET)
        events[event.type] = event
    created = events["refund.created"].data.object
    assert (created["id"], created["metadata"]["refund"]) == (made.id, "r-1")
    charge = events["charge.refunded"].data
    assert charge.object["amount_refunded"] == 100
    assert charge.previous_attributes is not None
    assert charge.previous_attributes["amount_refunded"] == 0
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body.replace(b"eur", b"usd"), signature, SECRET)


def test_the_signature_is_fresh_even_when_the_clock_was_moved(
    sender: ProviderProcess, receiver: Receiver
) -> None:
    sender.control.advance_clock(3 * 86_400)
    refund(sender)
    eventually(lambda: len(receiver.deliveries) == 2)
    assert stripe.Webhook.construct_event(*receiver.deliveries[0], SECRET).livemode is False


def test_settling_and_failing_and_disputing_are_told(
    sender: ProviderProcess, receiver: Receiver
) -> None:
    sender.control.rule("pending", times=1)
    payment = sender.control.create_payment(5000)
    made = refund(sender, payment)
    eventually(lambda: len(receiver.deliveries) == 2)
    sender.control.settle(made.id, "failed", "lost_or_stolen_card")
    eventually(lambda: sorted(receiver.types()[2:]) == ["refund.failed", "refund.updated"])
    sender.control.dispute(payment)
    eventually(lambda: receiver.types()[4:] == ["charge.dispute.created"])
    failed = next(body for body, _ in receiver.deliveries if b'"refund.failed"' in body)
    assert json.loads(failed)["data"]["object"]["failure_reason"] == "lost_or_stolen_card"


def test_a_refused_delivery_is_tried_again(sender: ProviderProcess, receiver: Receiver) -> None:
    receiver.answers.extend([500, 500, 500])
    refund(sender)
    eventually(lambda: sender.control.summary()["deliveries_waiting"] == 0)
    assert len(receiver.deliveries) == 5
    assert sorted(set(receiver.types())) == BOTH


def test_no_event_is_lost_when_the_provider_is_killed_before_it_is_taken(
    sender: ProviderProcess, receiver: Receiver
) -> None:
    sender.control.behave(webhooks={"delay_ms": 3_600_000})
    made = [refund(sender).id for _ in range(5)]
    sender.kill()
    assert receiver.deliveries == []
    sender.start()
    sender.control.advance_clock(3601)
    eventually(lambda: sender.control.summary()["deliveries_waiting"] == 0)
    told = [json.loads(body)["data"]["object"]["id"] for body, _ in receiver.deliveries]
    assert set(made) <= set(told)


def test_webhooks_can_be_off_and_sent_later_by_hand(
    sender: ProviderProcess, receiver: Receiver
) -> None:
    sender.control.behave(webhooks={"enabled": False})
    refund(sender)
    assert sender.control.summary()["deliveries_waiting"] == 0
    newest = stripe_client(sender.url).v1.events.list({"type": "refund.created"}).data[0]
    sender.control.resend(newest.id)
    eventually(lambda: receiver.types() == ["refund.created"])


def test_only_the_kinds_asked_for_are_sent(sender: ProviderProcess, receiver: Receiver) -> None:
    sender.control.behave(webhooks={"events": ["refund.*"]})
    refund(sender)
    eventually(lambda: receiver.types() == ["refund.created"])
    assert sender.control.summary()["deliveries_waiting"] == 0


def test_an_early_webhook_arrives_before_the_answer(
    sender: ProviderProcess, receiver: Receiver
) -> None:
    sender.control.behave(webhooks={"early": True})
    receiver.may_answer.clear()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(refund, sender)
        eventually(lambda: sorted(receiver.types()) == BOTH)
        assert not answer.done()
        receiver.may_answer.set()
        made = answer.result()
    told = [json.loads(body)["data"]["object"]["id"] for body, _ in receiver.deliveries]
    assert made.id in told


def test_a_late_webhook_waits_for_the_clock(sender: ProviderProcess, receiver: Receiver) -> None:
    sender.control.behave(webhooks={"delay_ms": 3_600_000})
    refund(sender)
    assert sender.control.summary()["deliveries_waiting"] == 2
    assert receiver.deliveries == []
    sender.control.advance_clock(3601)
    eventually(lambda: sorted(receiver.types()) == BOTH)


def test_every_event_can_be_sent_twice_with_the_same_id(
    sender: ProviderProcess, receiver: Receiver
) -> None:
    sender.control.behave(webhooks={"copies": 2})
    refund(sender)
    eventually(lambda: len(receiver.deliveries) == 4)
    assert len({json.loads(body)["id"] for body, _ in receiver.deliveries}) == 2


def test_events_can_arrive_out_of_order(sender: ProviderProcess, receiver: Receiver) -> None:
    sender.control.behave(webhooks={"out_of_order_ms": 3_600_000})
    refund(sender)
    eventually(lambda: receiver.types() == ["charge.refunded"])
    sender.control.advance_clock(3601)
    eventually(lambda: receiver.types() == ["charge.refunded", "refund.created"])
