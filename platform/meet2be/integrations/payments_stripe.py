"""Stripe as a payment provider: the only place that knows the `stripe` library.

The library builds requests, reads answers and checks signatures; the bytes go through
`http_deadline`, and nothing is retried down here: a repeated refund is the ledger's decision.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import stripe

from meet2be.integrations.http_deadline import CallFailed, DeadlineHttp, Timeouts
from meet2be.integrations.stripe_amounts import from_stripe, is_payable, to_stripe
from meet2be.integrations.stripe_requests import make_lean, page_params
from meet2be.integrations.stripe_shapes import event_of, page_of, payment_of, refund_of
from meet2be.payments.errors import BadProviderSignature, ProviderUnavailable
from meet2be.payments.provider import (
    META_PAYMENT,
    Accepted,
    AlreadyRefunded,
    Busy,
    ChargeAnswer,
    Charged,
    ChargeOrder,
    Funds,
    Opened,
    PageAnswer,
    PageOrder,
    PaymentPage,
    ProviderEvent,
    ProviderPayment,
    ProviderRefund,
    RefundAnswer,
    RefundOrder,
    Refused,
    Uncertain,
)

NAME = "stripe"
# https://docs.stripe.com/api/idempotent_requests: keys may be removed after 24 hours.
KEY_WINDOW = timedelta(hours=24)
# https://docs.stripe.com/api/checkout/sessions/create, `expires_at`.
SHORTEST_PAGE = timedelta(minutes=30)
RETRY_AFTER_SECONDS = 2.0
LIVE_KEYS = ("sk_live_", "rk_live_")
TEXT_LIMIT = 500


class StripeProvider:
    """A Stripe account (and the accounts connected to it) to refund with."""

    name = NAME
    key_window = KEY_WINDOW

    def __init__(
        self,
        secret_key: str,
        *,
        webhook_secret: str,
        test_key: str | None = None,
        base_url: str | None = None,
        timeouts: Timeouts | None = None,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        """Use `secret_key`; payments made in test mode use `test_key`, or it if it is no live key.

        `base_url` names another server that speaks Stripe's API.
        """
        # A global of the library: it would write a file and send timings with each request.
        stripe.enable_telemetry = False
        self._http = _Transport(DeadlineHttp(timeouts, monotonic))
        self._webhook_secret = webhook_secret
        self._live = self._client(secret_key, base_url)
        if test_key is None and not secret_key.startswith(LIVE_KEYS):
            self._test: stripe.StripeClient | None = self._live
        else:
            self._test = None if test_key is None else self._client(test_key, base_url)

    def _client(self, key: str, base_url: str | None) -> stripe.StripeClient:
        addresses: Any = {"api": base_url.rstrip("/")} if base_url else {}
        return make_lean(
            stripe.StripeClient(
                key, http_client=self._http, base_addresses=addresses, max_network_retries=0
            )
        )

    def charge(self, order: ChargeOrder) -> ChargeAnswer:
        """Create and confirm a payment; every way this can go is an answer of its own.

        https://docs.stripe.com/payments/payment-intents: a declined card is a 402.
        """
        client = self._test if order.test_mode else self._live
        if client is None:
            return Refused("no_test_account", "No test account is set up for test payments")
        if not is_payable(order.amount_minor, order.currency):
            return Refused("amount_not_payable", f"Not payable in {order.currency}: last digit")
        params = {
            "amount": to_stripe(order.amount_minor, order.currency),
            "currency": order.currency.lower(),
            "payment_method": order.method,
            "payment_method_types": ["card"],
            "confirm": True,
            "metadata": dict(order.metadata),
        }
        try:
            body = _ask(
                client, "post", "/v1/payment_intents", params, account=order.account, key=order.key
            )
            return Charged(payment_of(body))
        except stripe.StripeError as error:
            return _not_taken(error)
        except (KeyError, TypeError, ValueError) as error:
            return Uncertain("unparsable", f"The answer was no payment: {error!r}"[:TEXT_LIMIT])

    def charge_of(
        self, mark: str, account: str | None, *, test_mode: bool
    ) -> ProviderPayment | None:
        """Return the payment that bears our mark; raises ``ProviderUnavailable``.

        https://docs.stripe.com/search: found within a minute, in an outage of theirs later. Of
        several, one that went through comes first.
        """
        query = {"query": f"metadata['{META_PAYMENT}']:'{mark}'"}
        page = self._read("/v1/payment_intents/search", query, account, test_mode=test_mode)
        found = [payment_of(item) for item in page["data"]]
        found.sort(key=lambda each: ("succeeded", "pending", "failed").index(each.status))
        return found[0] if found else None

    @property
    def shortest_page(self) -> timedelta:
        """For how long a page has to be open at least."""
        return SHORTEST_PAGE

    def open_page(self, order: PageOrder) -> PageAnswer:
        """Create a checkout session: a page of Stripe's on which a card is typed.

        https://docs.stripe.com/api/checkout/sessions/create. The payment that comes of it bears
        our mark as well, so that messages about either find it.
        """
        client = self._test if order.test_mode else self._live
        if client is None:
            return Refused("no_test_account", "No test account is set up for test payments")
        if not is_payable(order.amount_minor, order.currency):
            return Refused("amount_not_payable", f"Not payable in {order.currency}: last digit")
        params = page_params(order)
        path = "/v1/checkout/sessions"
        try:
            body = _ask(client, "post", path, params, account=order.account, key=order.key)
            return Opened(page_of(body))
        except stripe.StripeError as error:
            return _not_taken(error)
        except (KeyError, TypeError, ValueError) as error:
            return Uncertain("unparsable", f"The answer was no page: {error!r}"[:TEXT_LIMIT])

    def page_of(self, ref: str, account: str | None, *, test_mode: bool) -> PaymentPage:
        """Return a session with its payment; raises ``ProviderUnavailable``."""
        path, query = f"/v1/checkout/sessions/{ref}", {"expand": ["payment_intent"]}
        return page_of(self._read(path, query, account, test_mode=test_mode))

    def close_page(self, ref: str, account: str | None, *, test_mode: bool) -> PaymentPage:
        """Expire a session that is open; raises ``ProviderUnavailable``, also where it is not."""
        client = self._test if test_mode else self._live
        if client is None:
            raise ProviderUnavailable(NAME, "expire a session", "no test account is set up")
        path = f"/v1/checkout/sessions/{ref}/expire"
        try:
            return page_of(_ask(client, "post", path, {}, account=account))
        except stripe.StripeError as error:
            raise ProviderUnavailable(NAME, path, _text(error), error.http_status) from error

    def refund(self, order: RefundOrder) -> RefundAnswer:
        """Create the refund; every way this can go is an answer of its own."""
        client = self._test if order.test_mode else self._live
        if client is None:
            return Refused("no_test_account", "No test account is set up for test payments")
        if not is_payable(order.amount_minor, order.currency):
            return Refused("amount_not_payable", f"Not payable in {order.currency}: last digit")
        try:
            body = _ask(
                client,
                "post",
                "/v1/refunds",
                {
                    "payment_intent": order.payment_ref,
                    "amount": to_stripe(order.amount_minor, order.currency),
                    "metadata": dict(order.metadata),
                },
                account=order.account,
                key=order.key,
            )
            return _answer(refund_of(body))
        except stripe.StripeError as error:
            return _explained(error)
        except (KeyError, TypeError, ValueError) as error:
            return Uncertain("unparsable", f"The answer was no refund: {error!r}"[:TEXT_LIMIT])

    def refunds_of(
        self, payment_ref: str, account: str | None, *, test_mode: bool
    ) -> list[ProviderRefund]:
        """Return all refunds of a payment, newest first; raises ``ProviderUnavailable``."""
        found: list[ProviderRefund] = []
        query: dict[str, Any] = {"payment_intent": payment_ref, "limit": 100}
        while True:
            page = self._read("/v1/refunds", query, account, test_mode=test_mode)
            found += [refund_of(item) for item in page["data"]]
            if not page.get("has_more"):
                return found
            query["starting_after"] = found[-1].id

    def funds(self, account: str | None, *, test_mode: bool) -> list[Funds]:
        """Return the available balance by currency; raises ``ProviderUnavailable``."""
        page = self._read("/v1/balance", {}, account, test_mode=test_mode)
        return [
            Funds(item["currency"].upper(), from_stripe(item["amount"], item["currency"]))
            for item in page["available"]
        ]

    def verify(self, payload: bytes, signature: str) -> ProviderEvent:
        """Return the event if the signature and its age are right (5 minutes)."""
        try:
            stripe.WebhookSignature.verify_header(
                payload, signature, self._webhook_secret, stripe.Webhook.DEFAULT_TOLERANCE
            )
        except (stripe.SignatureVerificationError, UnicodeDecodeError) as error:
            raise BadProviderSignature(NAME, _text(error)) from error
        return self.read(payload)

    def read(self, payload: bytes) -> ProviderEvent:
        """Return the event in `payload`; raises ``BadProviderSignature`` if it is none."""
        try:
            return event_of(json.loads(payload))
        except (KeyError, TypeError, ValueError) as error:
            raise BadProviderSignature(NAME, f"it is no event ({error!r})") from error

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _read(
        self, path: str, query: dict[str, Any], account: str | None, *, test_mode: bool
    ) -> Mapping[str, Any]:
        client = self._test if test_mode else self._live
        if client is None:
            raise ProviderUnavailable(NAME, path, "no test account is set up")
        try:
            return _ask(client, "get", path, query, account=account)
        except stripe.StripeError as error:
            raise ProviderUnavailable(NAME, path, _text(error), error.http_status) from error


class _Transport(stripe.HTTPClient):
    """What the library sends through: our own connections, and not one retry."""

    name = "meet2be"

    def __init__(self, http: DeadlineHttp) -> None:
        super().__init__()
        self._calls = http

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        body = post_data.encode() if isinstance(post_data, str) else post_data
        try:
            status, found, data = self._calls.call(method.upper(), url, headers or {}, body)
            return data.decode(), status, found
        except CallFailed as error:
            raise _connection_error(str(error), error.code) from error
        except UnicodeDecodeError as error:
            raise _connection_error("not UTF-8", "unparsable") from error

    def close(self) -> None:
        self._calls.close()


def _connection_error(why: str, code: str) -> stripe.APIConnectionError:
    make: Any = stripe.APIConnectionError  # its constructor has no types
    error: stripe.APIConnectionError = make(why, code=code)
    return error


def _ask(
    client: stripe.StripeClient,
    method: str,
    path: str,
    params: Mapping[str, Any],
    *,
    account: str | None,
    key: str | None = None,
) -> Mapping[str, Any]:
    options: dict[str, Any] = {}
    if key is not None:
        options["idempotency_key"] = key
    if account is not None:
        options["stripe_account"] = account
    try:
        data = client.raw_request(method, path, **params, **options).data
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # The library trips over bodies that only look like Stripe's, such as a proxy's.
        raise stripe.APIError(f"the answer is not Stripe's: {error!r}") from error
    if not isinstance(data, dict):
        raise stripe.APIError(f"the answer is no object: {str(data)[:80]}")
    return data


def _answer(refund: ProviderRefund) -> RefundAnswer:
    if refund.status in {"succeeded", "pending"}:
        return Accepted(refund)
    code = refund.failure_code or refund.provider_status
    text = f"The provider made the refund and ended it as '{refund.provider_status}'"
    return Refused(code, text, 200, refund.id)


def _explained(error: stripe.StripeError) -> RefundAnswer:
    """Say what an error means for the money; what is not known for sure is uncertain."""
    status, code, text = error.http_status, _code(error), _text(error)
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    if status == 429 or isinstance(error, stripe.RateLimitError):
        return Busy("rate_limited", _retry_after(headers))
    if status == 409:
        return Busy(code or "conflict", _retry_after(headers))
    if status is None or status < 400 or status >= 500:
        replayed = headers.get("idempotent-replayed", "").lower() == "true"
        fallback = "unparsable" if status is None or status < 400 else f"http_{status}"
        return Uncertain(code or fallback, text, status, replayed)
    if isinstance(error, stripe.IdempotencyError):
        # The key was used for something else: what that came to has to be looked up.
        return Uncertain("key_mismatch", text, status, replayed=True)
    if code == "charge_already_refunded" or _is_over_what_is_left(error):
        return AlreadyRefunded(text)
    return Refused(code or type(error).__name__, text, status)


def _not_taken(error: stripe.StripeError) -> Busy | Uncertain | Refused:
    """Say what an error means for money that was to come in."""
    answer = _explained(error)
    if isinstance(answer, Busy | Uncertain | Refused):
        return answer
    return Uncertain("unexpected", "The answer speaks of a refund")


def _is_over_what_is_left(error: stripe.StripeError) -> bool:
    """Tell the one refusal that has no code: more was asked for than the charge has left."""
    return isinstance(error, stripe.InvalidRequestError) and (
        _code(error) is None and error.param == "amount"
    )


def _code(error: stripe.StripeError) -> str | None:
    """Return the provider's code, which the library drops from some kinds of errors."""
    if error.code is not None or error.error is None:
        return error.code
    return getattr(error.error, "code", None)


def _retry_after(headers: Mapping[str, str]) -> float:
    value = headers.get("retry-after", "")
    return float(value) if value.isdigit() else RETRY_AFTER_SECONDS


def _text(error: Exception) -> str:
    message = getattr(error, "user_message", None) or str(error)
    return str(message)[:TEXT_LIMIT]
