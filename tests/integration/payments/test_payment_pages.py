"""Pages to pay on, as our adapter and Stripe's library ask for them."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from meet2be.integrations.payments_stripe import StripeProvider
from meet2be.integrations.stripe_requests import page_params
from meet2be.integrations.stripe_shapes import event_of
from meet2be.payments.errors import ProviderUnavailable
from meet2be.payments.provider import META_PAYMENT, Opened, PageOrder, Refused, Uncertain
from simulators.processes import ProviderProcess
from support.cancelling import running_provider, stripe_of


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


def order(server: ProviderProcess, key: str, minutes: int = 33) -> PageOrder:
    """Return what is asked for, for a page of so many minutes."""
    now = datetime.fromtimestamp(server.control.advance_clock(0), UTC)
    return PageOrder(
        key=key,
        amount_minor=8_400,
        currency="EUR",
        title="Aurora Summit – K7F3Q",
        reference="K7F3Q",
        success_url="https://shop.example/o?came=paid",
        cancel_url="https://shop.example/o?came=back",
        expires_at=(now + timedelta(minutes=minutes)).replace(microsecond=0),
        email="bea@example.org",
        language="de",
        metadata={META_PAYMENT: f"p-{key}"},
    )


def test_a_page_is_made_once_under_its_key_and_leads_to_its_payment(
    server: ProviderProcess, provider: StripeProvider
) -> None:
    wanted = order(server, "key-1")
    first, again = provider.open_page(wanted), provider.open_page(wanted)
    assert isinstance(first, Opened) and isinstance(again, Opened)
    assert first.page.id == again.page.id
    assert (first.page.status, first.page.payment) == ("open", None)
    assert first.page.url == f"{server.url}/pay/{first.page.id}"
    server.control.pay_page(first.page.id)
    page = provider.page_of(first.page.id, None, test_mode=False)
    assert (page.status, page.url) == ("complete", None)
    assert page.payment is not None
    assert (page.payment.status, page.payment.amount_minor) == ("succeeded", 8_400)
    assert page.payment.metadata == {META_PAYMENT: "p-key-1"}
    found = provider.charge_of("p-key-1", None, test_mode=False)
    assert found is not None and found.id == page.payment.id
    with pytest.raises(ProviderUnavailable):
        provider.close_page(page.id, None, test_mode=False)


def test_a_closed_page_stays_closed_and_an_unknown_one_is_none(
    server: ProviderProcess, provider: StripeProvider
) -> None:
    opened = provider.open_page(order(server, "key-2"))
    assert isinstance(opened, Opened)
    assert provider.close_page(opened.page.id, None, test_mode=False).status == "expired"
    assert provider.page_of(opened.page.id, None, test_mode=False).status == "expired"
    with pytest.raises(ProviderUnavailable):
        provider.page_of("cs_unknown", None, test_mode=False)


def test_what_cannot_be_a_page_is_refused_and_what_is_unknown_is_unknown(
    server: ProviderProcess, provider: StripeProvider
) -> None:
    assert isinstance(provider.open_page(order(server, "key-3", minutes=5)), Refused)
    odd = replace(order(server, "key-4"), currency="KWD", amount_minor=1_001)
    assert provider.open_page(odd) == Refused(
        "amount_not_payable", "Not payable in KWD: last digit"
    )
    live = StripeProvider("sk_live_x", webhook_secret="whsec", base_url=server.url)
    answer = live.open_page(replace(odd, test_mode=True))
    live.close()
    assert isinstance(answer, Refused) and answer.code == "no_test_account"
    server.control.rule("error_before", call="checkout_session.create", times=1, status=503)
    assert isinstance(provider.open_page(order(server, "key-5")), Uncertain)


def test_a_page_asks_for_the_figure_stripe_wants_and_marks_both_objects(
    server: ProviderProcess,
) -> None:
    params = page_params(replace(order(server, "key"), currency="ISK", amount_minor=500))
    assert params["line_items"][0]["price_data"]["unit_amount"] == 50_000
    assert params["metadata"] == params["payment_intent_data"]["metadata"]
    assert (params["locale"], params["customer_email"]) == ("de", "bea@example.org")


@pytest.mark.parametrize(
    "kind", ["completed", "expired", "async_payment_succeeded", "async_payment_failed"]
)
def test_messages_about_pages_name_our_payment(kind: str) -> None:
    session = {"id": "cs_1", "metadata": {META_PAYMENT: "p-1"}, "payment_intent": "pi_1"}
    body = {
        "id": "evt_1", "type": f"checkout.session.{kind}", "created": 1_790_000_000,
        "livemode": True, "data": {"object": session},
    }  # fmt: skip
    news = event_of(json.loads(json.dumps(body)))
    assert (news.kind, news.payment_mark, news.payment_ref) == ("page", "p-1", "pi_1")
