"""The provider is killed in the midst of refunds: none that was told is lost, none made twice."""

import random
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event

import pytest
import stripe

from simulators.processes import ProviderProcess
from support.simulators import stripe_client
from support.waiting import eventually

PAYMENTS = 240
KILLS = 4


def refund_until_answered(
    client: stripe.StripeClient, payment: str, acknowledged: dict[str, str], stop: Event
) -> None:
    """Ask with the same key until there is an answer, as a client that knows no better."""
    while not stop.is_set():
        try:
            made = client.v1.refunds.create(
                {"payment_intent": payment, "amount": 100, "metadata": {"refund": payment}},
                {"idempotency_key": f"rf:{payment}"},
            )
        except stripe.APIConnectionError:
            stop.wait(0.05)
            continue
        acknowledged[payment] = made.id
        return


def has_grown_to(acknowledged: dict[str, str], wanted: int) -> bool:
    return len(acknowledged) >= wanted


@pytest.mark.crash
def test_acknowledged_refunds_survive_kills_and_none_is_made_twice(
    own_provider: ProviderProcess,
) -> None:
    control = own_provider.control
    control.behave(latency_ms=20)
    created = control.create_payments([{"amount": 200, "currency": "eur"}] * PAYMENTS)
    payments = [item["payment_intent"] for item in created]
    acknowledged: dict[str, str] = {}
    stop = Event()
    client = stripe_client(own_provider.url)
    seed = random.randrange(10**6)
    lots = random.Random(seed)
    with ThreadPoolExecutor(8) as pool:
        try:
            for payment in payments:
                pool.submit(refund_until_answered, client, payment, acknowledged, stop)
            for kill in range(1, KILLS + 1):
                wanted = kill * PAYMENTS // (KILLS + 1) + lots.randrange(10)
                reached = partial(has_grown_to, acknowledged, wanted)
                eventually(reached, every=0.001)
                own_provider.kill()
                own_provider.start()
            eventually(lambda: len(acknowledged) == PAYMENTS)
        finally:
            stop.set()
    ledger = control.ledger()
    made = {item["payment_intent"]: item["id"] for item in ledger["refunds"]}
    assert made == acknowledged, f"seed {seed}"
    assert len(ledger["refunds"]) == PAYMENTS, f"seed {seed}"
    assert ledger["payments"]["eur"]["refunded"] == 100 * PAYMENTS
    assert ledger["balances"][0]["available"] == 100 * PAYMENTS
    assert ledger["idempotency_keys"] == PAYMENTS
