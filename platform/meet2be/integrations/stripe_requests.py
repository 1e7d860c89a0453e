"""The `stripe` library's requests without what it does anew for each and nobody asks for.

It puts together lines of log whether anybody listens or not, and the same headers each time: half
of its processor time. What is sent, and how answers and errors are read, stays the library's own;
a test compares the bytes.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import stripe
from stripe import _api_requestor as library
from stripe import _util as library_words

from meet2be.integrations.stripe_amounts import to_stripe
from meet2be.payments.provider import PageOrder

_LOGGER = logging.getLogger("stripe")
_KEY = "Idempotency-Key"
_NAMED_IN_HEADERS = ("api_key", "stripe_account", "stripe_context", "stripe_version")


class LeanRequestor(library._APIRequestor):  # noqa: SLF001 -- see the module's head; the version is pinned
    """Makes requests as the library does, with headers that are written out once."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._known: dict[tuple[Any, ...], dict[str, str]] = {}

    def request_raw(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None = None,
        options: Any = None,
        is_streaming: bool = False,  # noqa: FBT001, FBT002 -- the signature is the library's
        **more: Any,
    ) -> tuple[object, int, Mapping[str, str]]:
        """Return body, status and headers of the answer."""
        if is_streaming or _is_somebody_listening():
            return super().request_raw(method, url, params, options, is_streaming, **more)
        verb, address, headers, body, retries, usage, *_ = self._args_for_request_with_retries(
            method, url, params, options, **more
        )
        return self._get_http_client().request_with_retries(
            verb, address, headers, body, max_network_retries=retries, _usage=usage
        )

    def request_headers(self, method: Any, api_mode: Any, options: Any) -> dict[str, str]:
        """Return the headers of a request, with the key it was given."""
        key = options.get("idempotency_key")
        kind = (method, api_mode, *(options.get(name) for name in _NAMED_IN_HEADERS))
        headers: dict[str, str] | None = self._known.get(kind) if key else None
        if headers is None:
            headers = super().request_headers(method, api_mode, options)
        if not key:
            return headers  # of a request that changes something: with a key made for it
        self._known[kind] = headers
        return {**headers, _KEY: key}


def _is_somebody_listening() -> bool:
    return (stripe.log or library_words.STRIPE_LOG) is not None or _LOGGER.isEnabledFor(
        logging.INFO
    )


def page_params(order: PageOrder) -> dict[str, Any]:
    """Return what a checkout session is asked for with: one line, our order's, by card."""
    price = {
        "currency": order.currency.lower(),
        "unit_amount": to_stripe(order.amount_minor, order.currency),
        "product_data": {"name": order.title},
    }
    params: dict[str, Any] = {
        "mode": "payment",
        "payment_method_types": ["card"],
        "line_items": [{"price_data": price, "quantity": 1}],
        "client_reference_id": order.reference,
        "success_url": order.success_url,
        "cancel_url": order.cancel_url,
        "expires_at": int(order.expires_at.timestamp()),
        "locale": order.language,
        "metadata": dict(order.metadata),
        "payment_intent_data": {"metadata": dict(order.metadata), "description": order.title},
    }
    if order.email is not None:
        params["customer_email"] = order.email
    return params


def make_lean(client: stripe.StripeClient) -> stripe.StripeClient:
    """Return the client with its raw requests made leanly."""
    requestor = client._requestor  # noqa: SLF001 -- there is no other door
    client._requestor = LeanRequestor(requestor._options, requestor._client)  # noqa: SLF001
    return client
