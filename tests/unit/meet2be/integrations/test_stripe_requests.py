"""Our leaner way through the `stripe` library sends what the library itself would send."""

import logging
from collections.abc import Mapping
from typing import Any

import pytest
import stripe

from meet2be.integrations.stripe_requests import make_lean

Sent = tuple[str, str, dict[str, str], Any]
REFUND = {"payment_intent": "pi_1", "amount": 100, "metadata": {"r": "a b&c", "ü": "[x]"}}


class Recorder(stripe.HTTPClient):
    """Keeps what is sent and gives one answer."""

    name = "recorder"

    def __init__(self, answer: str = '{"id": "re_1"}', status: int = 200) -> None:
        super().__init__()
        self.sent: list[Sent] = []
        self._answer = answer, status, {"request-id": "req_1"}

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        self.sent.append((method, url, dict(headers or {}), post_data))
        return self._answer


def _client(recorder: Recorder) -> stripe.StripeClient:
    return stripe.StripeClient("sk_test_1", http_client=recorder, max_network_retries=0)


CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("post", "/v1/refunds", {**REFUND, "idempotency_key": "k1"}),
    ("post", "/v1/refunds", {**REFUND, "idempotency_key": "k2"}),
    ("post", "/v1/refunds", {**REFUND, "idempotency_key": "k3", "stripe_account": "acct_1"}),
    ("post", "/v1/refunds", {**REFUND, "idempotency_key": "k4"}),
    ("get", "/v1/refunds", {"payment_intent": "pi_1", "limit": 100}),
    ("get", "/v1/balance", {"stripe_account": "acct_2"}),
]


def test_each_call_is_what_the_library_would_send() -> None:
    stock, lean = Recorder(), Recorder()
    usual, ours = _client(stock), make_lean(_client(lean))
    for method, path, params in CALLS:
        answers = [client.raw_request(method, path, **params) for client in (usual, ours)]
        assert answers[0].data == answers[1].data
    assert lean.sent == stock.sent


def test_a_call_without_a_key_gets_one_of_its_own_each_time() -> None:
    lean = Recorder()
    client = make_lean(_client(lean))
    for _ in range(2):
        client.raw_request("post", "/v1/refunds", **REFUND)
    first, second = (headers["Idempotency-Key"] for _, _, headers, _ in lean.sent)
    assert first != second


def test_an_error_stays_the_librarys() -> None:
    body = '{"error": {"type": "invalid_request_error", "code": "x", "message": "no"}}'
    client = make_lean(_client(Recorder(body, 400)))
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.raw_request("post", "/v1/refunds", **REFUND, idempotency_key="k")
    assert (caught.value.code, caught.value.http_status) == ("x", 400)


def test_who_listens_hears_of_each_call(caplog: pytest.LogCaptureFixture) -> None:
    client = make_lean(_client(Recorder()))
    with caplog.at_level(logging.WARNING, "stripe"):
        client.raw_request("get", "/v1/balance")
    assert not caplog.records
    with caplog.at_level(logging.INFO, "stripe"):
        client.raw_request("get", "/v1/balance")
    assert any("Request to Stripe api" in record.message for record in caplog.records)
