"""Our adapter and Stripe's library against a provider that speaks Stripe's API."""

import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from threading import Thread
from time import thread_time

import pytest
import stripe

from meet2be.integrations.http_deadline import Timeouts
from meet2be.integrations.payments_stripe import StripeProvider
from meet2be.integrations.stripe_amounts import from_stripe, is_payable, to_stripe
from meet2be.payments.errors import BadProviderSignature, ProviderUnavailable
from meet2be.payments.provider import (
    META_REFUND,
    Accepted,
    AlreadyRefunded,
    Busy,
    RefundAnswer,
    RefundOrder,
    Refused,
    Uncertain,
)
from onqueue.clock import SystemClock
from simulators.processes import ProviderProcess
from support.cancelling import SECRET, running_provider, stripe_of
from support.receivers import drip, receiving
from support.simulators import API_KEY, stripe_client


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


@pytest.fixture
def order(server: ProviderProcess) -> RefundOrder:
    """A refund of half a payment."""
    payment = server.control.create_payment(10_000)
    return RefundOrder(
        f"key-{payment}", payment, 5_000, "EUR", metadata={META_REFUND: f"r-{payment}"}
    )


def test_a_refund_that_is_done(provider: StripeProvider, order: RefundOrder) -> None:
    answer = provider.refund(order)
    assert isinstance(answer, Accepted)
    assert (answer.refund.status, answer.refund.amount_minor) == ("succeeded", 5_000)
    assert answer.refund.metadata[META_REFUND] == order.metadata[META_REFUND]
    assert answer.refund.currency == "EUR"


def test_the_same_key_is_the_same_refund(provider: StripeProvider, order: RefundOrder) -> None:
    first, second = provider.refund(order), provider.refund(order)
    assert isinstance(first, Accepted)
    assert first == second
    assert len(provider.refunds_of(order.payment_ref, None, test_mode=False)) == 1


def test_a_pending_refund_says_why(
    provider: StripeProvider, server: ProviderProcess, order: RefundOrder
) -> None:
    server.control.rule("pending", reason="insufficient_funds")
    answer = provider.refund(order)
    assert isinstance(answer, Accepted)
    assert (answer.refund.status, answer.refund.pending_reason) == ("pending", "insufficient_funds")


@pytest.mark.parametrize("status", [400, 402, 403, 404])
def test_a_definite_refusal_has_its_code(
    provider: StripeProvider, server: ProviderProcess, order: RefundOrder, status: int
) -> None:
    server.control.rule("refuse", code="expired_or_canceled_card", status=status)
    answer = provider.refund(order)
    assert isinstance(answer, Refused)
    assert (answer.code, answer.http_status) == ("expired_or_canceled_card", status)


@pytest.mark.parametrize("already", [10_000, 6_000])
def test_more_than_is_left_means_that_somebody_refunded_elsewhere(
    provider: StripeProvider, server: ProviderProcess, order: RefundOrder, already: int
) -> None:
    server.control.dashboard_refund(order.payment_ref, already)
    assert isinstance(provider.refund(order), AlreadyRefunded)


def test_too_many_calls_are_put_off(
    provider: StripeProvider, server: ProviderProcess, order: RefundOrder
) -> None:
    server.control.rule("rate_limit", times=1)
    answer = provider.refund(order)
    assert isinstance(answer, Busy)
    assert answer.retry_after > 0


def test_a_key_that_is_under_way_is_put_off(
    provider: StripeProvider, server: ProviderProcess, order: RefundOrder
) -> None:
    server.control.behave(latency_ms=1_500)
    answers: list[RefundAnswer] = []
    callers = [Thread(target=lambda: answers.append(provider.refund(order))) for _ in range(2)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    # Whichever came first is carried out, and the other one told to wait.
    assert {type(answer) for answer in answers} == {Accepted, Busy}
    assert len(provider.refunds_of(order.payment_ref, None, test_mode=False)) == 1


@pytest.mark.parametrize(
    ("rule", "options"),
    [
        ("error_before", {"status": 503}),
        ("error_after", {"status": 502}),
        ("error_before", {"status": 500}),
        ("timeout_after", {"seconds": 120}),
        ("hang_before", {"seconds": 120}),
    ],
)
def test_what_nobody_knows_is_uncertain(
    server: ProviderProcess, order: RefundOrder, rule: str, options: dict[str, int]
) -> None:
    """An answer that comes after two minutes is not waited for."""
    server.control.behave_well()
    server.control.rule(rule, times=1, **options)
    clock = SystemClock()
    with closing(stripe_of(server, total=1.0)) as hasty:
        began = clock.monotonic()
        assert isinstance(hasty.refund(order), Uncertain)
        assert clock.monotonic() - began < 60


def test_a_stored_error_is_known_as_replayed(
    provider: StripeProvider, server: ProviderProcess, order: RefundOrder
) -> None:
    server.control.rule("error_before", times=1, status=500, stored=True)
    answers = [provider.refund(order) for _ in range(2)]
    assert [isinstance(each, Uncertain) and each.replayed for each in answers] == [False, True]


def test_a_key_used_for_another_amount_is_uncertain_and_not_refused(
    provider: StripeProvider, order: RefundOrder
) -> None:
    provider.refund(order)
    answer = provider.refund(replace(order, amount_minor=4_000))
    assert isinstance(answer, Uncertain)
    assert answer.code == "key_mismatch"


def test_a_refused_connection_and_a_restart_are_uncertain_and_pass(
    server: ProviderProcess, provider: StripeProvider, order: RefundOrder
) -> None:
    provider.refund(order)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nowhere = StripeProvider(
            API_KEY, webhook_secret=SECRET,
            base_url=f"http://127.0.0.1:{closed.getsockname()[1]}",
        )  # fmt: skip
        answer = nowhere.refund(order)
        with pytest.raises(ProviderUnavailable):
            nowhere.refunds_of(order.payment_ref, None, test_mode=False)
    assert isinstance(answer, Uncertain)
    assert answer.code == "connect"
    server.restart()
    # The kept connection has gone with the old process: that is noticed before anything is sent.
    assert isinstance(provider.refund(order), Accepted)


def test_a_server_that_drips_its_answer_is_cut_off_in_time(order: RefundOrder) -> None:
    """Its answer never ends, so a call that is not cut off does not either."""
    with receiving(drip(b"a", first=b"HTTP/1.1 200 OK\r\nX-Slow: ")) as receiver:
        adapter = StripeProvider(
            API_KEY, webhook_secret=SECRET, timeouts=Timeouts(30.0, 0.4),
            base_url=receiver.url(""),
        )  # fmt: skip
        with closing(adapter):
            answer = adapter.refund(order)
    assert isinstance(answer, Uncertain)
    assert answer.code == "timeout"


@pytest.mark.parametrize("body", ["<html>", "[]", "{}", '{"id": 1}', '{"error": "no"}', "\xff"])
@pytest.mark.parametrize("status", [200, 302, 502])
def test_nonsense_is_uncertain(order: RefundOrder, body: str, status: int) -> None:
    content = body.encode("latin-1")
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer_once() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65_536)
                head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\n\r\n"
                connection.sendall(head.encode() + content)

        thread = Thread(target=answer_once)
        thread.start()
        adapter = StripeProvider(
            API_KEY, webhook_secret=SECRET, timeouts=Timeouts(30.0, 60.0),
            base_url=f"http://127.0.0.1:{listening.getsockname()[1]}",
        )  # fmt: skip
        answer = adapter.refund(order)
        thread.join()
        adapter.close()
    assert isinstance(answer, Uncertain)


def test_all_pages_of_a_look_up_are_read(provider: StripeProvider, server: ProviderProcess) -> None:
    payment = server.control.create_payment(200)
    for number in range(105):
        provider.refund(RefundOrder(f"{payment}-{number}", payment, 1, "EUR"))
    assert len(provider.refunds_of(payment, None, test_mode=False)) == 105


def test_the_balance_is_told_by_currency(provider: StripeProvider, server: ProviderProcess) -> None:
    server.control.set_balance("jpy", 12_345)
    assert ("JPY", 12_345) in [
        (funds.currency, funds.available_minor) for funds in provider.funds(None, test_mode=False)
    ]


def test_a_test_payment_never_meets_a_live_key(server: ProviderProcess, order: RefundOrder) -> None:
    live = StripeProvider("sk_live_x", webhook_secret=SECRET, base_url=server.url)
    answer = live.refund(replace(order, test_mode=True))
    assert isinstance(answer, Refused)
    assert answer.code == "no_test_account"
    assert live.refund(replace(order, currency="KWD", amount_minor=1_001)) == Refused(
        "amount_not_payable", "Not payable in KWD: last digit"
    )
    live.close()


def test_only_what_the_provider_signed_is_believed(provider: StripeProvider) -> None:
    body = (
        '{"id": "evt_1", "type": "payment_intent.succeeded", "created": 1,'
        ' "data": {"object": {"id": "pi_1"}}}'
    )
    signed = stripe.WebhookSignature.generate_signature_header(body, SECRET)
    event = provider.verify(body.encode(), signed)
    assert (event.id, event.kind, event.payment_ref) == ("evt_1", "payment_succeeded", "pi_1")
    old = stripe.WebhookSignature.generate_signature_header(body, SECRET, timestamp=1)
    foreign = stripe.WebhookSignature.generate_signature_header(body, "whsec_other")
    for payload, signature in (
        (body.replace("pi_1", "pi_2"), signed), (body, old), (body, foreign), (body, ""),
        ("\x00", signed),
    ):  # fmt: skip
        with pytest.raises(BadProviderSignature):
            provider.verify(payload.encode(), signature)
    nonsense = "{}"
    with pytest.raises(BadProviderSignature):
        provider.verify(
            nonsense.encode(),
            stripe.WebhookSignature.generate_signature_header(nonsense, SECRET),
        )


@pytest.mark.parametrize(
    ("minor", "currency", "figure"),
    [(100, "EUR", 100), (5, "JPY", 5), (7, "ISK", 700), (7, "UGX", 700), (1_230, "KWD", 1_230)],
)
def test_minor_units_are_stripes_where_they_differ(minor: int, currency: str, figure: int) -> None:
    assert to_stripe(minor, currency) == figure
    assert from_stripe(figure, currency.lower()) == minor


def test_three_decimals_end_in_nought() -> None:
    assert is_payable(1_230, "KWD")
    assert not is_payable(1_231, "KWD")
    assert not is_payable(0, "EUR")


def test_a_call_costs_less_processor_time_than_one_of_the_library(
    provider: StripeProvider, server: ProviderProcess
) -> None:
    """Both in turn, so that whatever else the machine does falls on both."""
    payment = server.control.create_payment(1_000)
    library = stripe_client(server.url)
    ours, theirs = 0.0, 0.0
    for number in range(60):
        began = thread_time()
        provider.refund(RefundOrder(f"{payment}-{number}", payment, 1, "EUR"))
        between = thread_time()
        library.v1.refunds.create({"payment_intent": payment, "amount": 1})
        if number:  # the first of each makes its connection
            ours, theirs = ours + between - began, theirs + thread_time() - between
    assert ours < theirs / 2
