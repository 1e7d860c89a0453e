"""Taking payments through Stripe's API: cards that pay, fail, wait, and answers that get lost."""

from collections.abc import Iterator
from contextlib import closing
from itertools import count

import pytest

from meet2be.integrations.payments_none import NoProvider
from meet2be.integrations.payments_stripe import StripeProvider
from meet2be.payments.errors import ProviderUnavailable
from meet2be.payments.provider import (
    META_PAYMENT,
    Busy,
    Charged,
    ChargeOrder,
    Refused,
    Uncertain,
)
from simulators.processes import ProviderProcess
from support.cancelling import running_provider, stripe_of
from support.waiting import eventually

_numbers = count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProviderProcess]:
    """The simulated provider."""
    with running_provider(tmp_path_factory.mktemp("provider")) as process:
        yield process


@pytest.fixture
def provider(server: ProviderProcess) -> Iterator[StripeProvider]:
    """Our adapter; the provider behaves well to begin with."""
    server.control.behave_well()
    adapter = stripe_of(server)
    yield adapter
    adapter.close()


def order(method: str = "pm_card_visa") -> ChargeOrder:
    mark = f"mark{next(_numbers)}"
    return ChargeOrder(f"k-{mark}", 4_200, "EUR", method, metadata={META_PAYMENT: mark})


def marked(server: ProviderProcess, given: ChargeOrder) -> list[str]:
    """Return the payments the provider itself has for an order."""
    mark = given.metadata[META_PAYMENT]
    charges = server.control.ledger()["charges"]
    return [
        each["payment_intent"] for each in charges if each["metadata"].get(META_PAYMENT) == mark
    ]


def test_a_card_pays_once_however_often_its_key_is_sent(
    provider: StripeProvider, server: ProviderProcess
) -> None:
    given = order()
    first, second = provider.charge(given), provider.charge(given)
    assert isinstance(first, Charged)
    assert first == second
    assert (first.payment.status, first.payment.amount_minor) == ("succeeded", 4_200)
    assert len(marked(server, given)) == 1
    found = provider.charge_of(given.metadata[META_PAYMENT], None, test_mode=False)
    assert found == first.payment


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("pm_card_chargeDeclined", "card_declined"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card"),
    ],
)
def test_a_card_that_fails_is_a_definite_no(
    provider: StripeProvider, method: str, code: str
) -> None:
    given = order(method)
    answer = provider.charge(given)
    assert isinstance(answer, Refused)
    assert (answer.code, answer.http_status) == (code, 402)
    assert provider.charge_of(given.metadata[META_PAYMENT], None, test_mode=False) is None


def test_a_payment_that_waits_ends_by_a_message(
    provider: StripeProvider, server: ProviderProcess
) -> None:
    given = order("pm_card_threeDSecure2Required")
    answer = provider.charge(given)
    assert isinstance(answer, Charged)
    assert answer.payment.status == "pending"
    assert (answer.payment.action_url or "").startswith("https://")
    server.control.settle_payment(answer.payment.id, "requires_payment_method")
    found = provider.charge_of(given.metadata[META_PAYMENT], None, test_mode=False)
    assert found is not None
    assert found.status == "failed"


def test_a_lost_answer_is_uncertain_and_found_by_our_mark(
    provider: StripeProvider, server: ProviderProcess
) -> None:
    """F14."""
    server.control.rule("timeout_after", call="payment_intent.create", times=1, seconds=30)
    given = order()
    with closing(stripe_of(server, total=0.6)) as hasty:
        assert isinstance(hasty.charge(given), Uncertain)
    eventually(lambda: marked(server, given) != [])
    found = provider.charge_of(given.metadata[META_PAYMENT], None, test_mode=False)
    assert found is not None
    assert found.status == "succeeded"
    again = provider.charge(given)
    assert isinstance(again, Charged)
    assert again.payment.id == found.id


def test_too_fast_is_busy_and_a_stored_failure_is_marked(
    provider: StripeProvider, server: ProviderProcess
) -> None:
    """F15."""
    server.control.rule("rate_limit", call="payment_intent.create", times=1)
    given = order()
    assert isinstance(provider.charge(given), Busy)
    server.control.rule("error_after", call="payment_intent.create", times=1, status=500)
    assert isinstance(provider.charge(given), Uncertain)
    replayed = provider.charge(given)
    assert isinstance(replayed, Uncertain)
    assert replayed.replayed


def test_without_a_provider_nothing_is_paid() -> None:
    provider = NoProvider()
    assert isinstance(provider.charge(order()), Refused)
    with pytest.raises(ProviderUnavailable):
        provider.charge_of("x", None, test_mode=False)
