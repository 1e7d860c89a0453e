"""The plain calls, made alike against our provider and against one that somebody else wrote.

Known differences of localstripe 1.15: it ignores idempotency keys (shown below), refunds more
than was paid, takes a missing amount for the whole charge instead of what is left, puts the whole
charge into `latest_charge`, takes no `reason`, has no balance and no disputes, and sends no events
of refunds. What else is asserted here holds for both.
"""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import stripe

from simulators.processes import ProviderProcess
from support.simulators import stripe_client
from support.waiting import eventually


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def localstripe_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port, folder = free_port(), tmp_path_factory.mktemp("localstripe")
    log = (folder / "log").open("wb")
    with log:
        process = subprocess.Popen(
            [sys.executable, "-m", "localstripe", "--port", str(port), "--from-scratch"],
            cwd=folder, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        eventually(lambda: answers(port, process, folder / "log"))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def answers(port: int, process: subprocess.Popen[bytes], log: Path) -> bool:
    if process.poll() is not None:
        pytest.fail(f"localstripe ended: {log.read_text(errors='replace')[-1500:]}")
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(params=["ours", "localstripe"])
def either(request: pytest.FixtureRequest) -> stripe.StripeClient:
    """The same client code on one provider and on the other."""
    if request.param == "ours":
        process: ProviderProcess = request.getfixturevalue("provider")
        return stripe_client(process.url)
    return stripe_client(request.getfixturevalue("localstripe_url"))


def paid(client: stripe.StripeClient, amount: int) -> stripe.PaymentIntent:
    """Pay with a card that always works."""
    method = "pm_card_visa"
    return client.v1.payment_intents.create(
        {"amount": amount, "currency": "eur", "confirm": True, "payment_method": method}
    )


def charge_of(intent: stripe.PaymentIntent) -> str:
    """Return the charge's id; localstripe puts the whole charge where Stripe has its id."""
    charge = intent.latest_charge
    assert charge is not None
    return charge if isinstance(charge, str) else charge.id


def test_both_refund_in_parts_until_all_is_refunded(either: stripe.StripeClient) -> None:
    intent = paid(either, 5000)
    first = either.v1.refunds.create(
        {"payment_intent": intent.id, "amount": 1500, "metadata": {"refund": "r-1"}}
    )
    assert (first.object, first.amount, first.status) == ("refund", 1500, "succeeded")
    assert first.metadata is not None
    assert first.metadata.to_dict() == {"refund": "r-1"}
    charge = either.v1.charges.retrieve(charge_of(intent))
    assert (charge.amount_refunded, charge.refunded) == (1500, False)
    either.v1.refunds.create({"payment_intent": intent.id, "amount": 3500})
    assert either.v1.charges.retrieve(charge_of(intent)).refunded is True


def test_both_find_refunds_by_charge_and_id(either: stripe.StripeClient) -> None:
    intent = paid(either, 5000)
    made = [
        either.v1.refunds.create({"charge": charge_of(intent), "amount": 100}) for _ in range(3)
    ]
    listed = either.v1.refunds.list({"charge": charge_of(intent), "limit": 10})
    assert {item.id for item in listed.data} == {item.id for item in made}
    by_intent = either.v1.refunds.list({"payment_intent": intent.id})
    assert {item.id for item in by_intent.data} == {item.id for item in made}
    assert either.v1.refunds.retrieve(made[0].id).amount == 100


def test_both_say_that_there_is_no_such_payment(either: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        either.v1.payment_intents.retrieve("pi_nowhere")
    assert refused.value.http_status == 404


def test_ours_honours_idempotency_keys_and_localstripe_does_not(
    provider: ProviderProcess, localstripe_url: str
) -> None:
    refunds = {}
    for name, url in (("ours", provider.url), ("localstripe", localstripe_url)):
        client = stripe_client(url)
        intent = paid(client, 5000)
        for _ in range(2):
            client.v1.refunds.create(
                {"payment_intent": intent.id, "amount": 100}, {"idempotency_key": f"{name}-key"}
            )
        refunds[name] = len(client.v1.refunds.list({"payment_intent": intent.id}).data)
    assert refunds == {"ours": 1, "localstripe": 2}
