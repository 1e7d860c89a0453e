"""Stripe's checks of parameters, made before a call is carried out (and never stored)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulators.provider.errors import StripeError

if TYPE_CHECKING:
    from simulators.provider.shapes import Json

_PAGING = frozenset({"limit", "starting_after", "ending_before", "created", "expand"})
ALLOWED: dict[str, frozenset[str]] = {
    "refund.create": frozenset(
        {
            "amount",
            "charge",
            "expand",
            "instructions_email",
            "metadata",
            "payment_intent",
            "reason",
            "refund_application_fee",
            "reverse_transfer",
        }
    ),
    "refund.update": frozenset({"metadata", "expand"}),
    "refund.retrieve": frozenset({"expand"}),
    "refund.list": _PAGING | {"payment_intent", "charge"},
    "payment_intent.create": frozenset(
        {
            "amount",
            "automatic_payment_methods",
            "capture_method",
            "confirm",
            "currency",
            "customer",
            "description",
            "expand",
            "metadata",
            "off_session",
            "payment_method",
            "payment_method_types",
            "receipt_email",
            "return_url",
        }
    ),
    "payment_intent.search": frozenset({"query", "limit", "page", "expand"}),
    "payment_intent.retrieve": frozenset({"client_secret", "expand"}),
    "payment_intent.list": _PAGING | {"customer"},
    "checkout_session.create": frozenset(
        {
            "cancel_url",
            "client_reference_id",
            "customer_email",
            "expand",
            "expires_at",
            "line_items",
            "locale",
            "metadata",
            "mode",
            "payment_intent_data",
            "payment_method_types",
            "success_url",
        }
    ),
    "checkout_session.retrieve": frozenset({"expand"}),
    "checkout_session.expire": frozenset({"expand"}),
    "charge.retrieve": frozenset({"expand"}),
    "balance.retrieve": frozenset({"expand"}),
    "event.list": _PAGING | {"type"},
    "event.retrieve": frozenset({"expand"}),
}
REASONS = ("duplicate", "fraudulent", "requested_by_customer")
MAX_METADATA_KEYS = 50
MAX_METADATA_KEY = 40
MAX_METADATA_VALUE = 500
MAX_PAGE = 100


def checked(kind: str, form: Json) -> Json:
    """Return the parameters with numbers as numbers; raises Stripe's 400 on the first bad one."""
    if unknown := sorted(set(form) - ALLOWED[kind]):
        message = f"Received unknown parameter: {unknown[0]}"
        raise StripeError(message, code="parameter_unknown", param=unknown[0])
    result = dict(form)
    for name in ("amount", "limit"):
        if name in result:
            result[name] = _positive(name, result[name])
    if result.get("limit", 1) > MAX_PAGE:
        message = f"The limit may be 1 to {MAX_PAGE}, not {result['limit']}."
        raise StripeError(message, code="parameter_invalid_integer", param="limit")
    if "metadata" in result:
        result["metadata"] = _metadata(result["metadata"])
    if kind == "refund.create":
        _check_refund(result)
    if kind == "payment_intent.create":
        _check_payment(result)
    return result


def _check_refund(form: Json) -> None:
    if ("charge" in form) == ("payment_intent" in form):
        message = "Give exactly one of these parameters: payment_intent, charge."
        code = "parameters_exclusive" if "charge" in form else "parameter_missing"
        raise StripeError(message, code=code, param="payment_intent")
    if "reason" in form and form["reason"] not in REASONS:
        message = f"Invalid reason '{form['reason']}': must be one of {', '.join(REASONS)}."
        raise StripeError(message, param="reason")


def _check_payment(form: Json) -> None:
    for name in ("amount", "currency"):
        if name not in form:
            message = f"Missing required param: {name}."
            raise StripeError(message, code="parameter_missing", param=name)
    form["currency"] = str(form["currency"]).lower()


def _positive(name: str, value: object) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit()) or int(text) == 0:
        message = f"Invalid positive integer: '{text}'"
        raise StripeError(message, code="parameter_invalid_integer", param=name)
    return int(text)


def _metadata(value: object) -> dict[str, str]:
    if value == "":
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        message = "Metadata must be a flat set of names and texts."
        raise StripeError(message, param="metadata")
    if len(value) > MAX_METADATA_KEYS:
        message = f"Metadata may have {MAX_METADATA_KEYS} keys, not {len(value)}."
        raise StripeError(message, param="metadata")
    for name, text in value.items():
        if len(name) > MAX_METADATA_KEY or len(text) > MAX_METADATA_VALUE:
            message = (
                f"Metadata '{name[:MAX_METADATA_KEY]}' is too long: names have at most"
                f" {MAX_METADATA_KEY} characters, values {MAX_METADATA_VALUE}."
            )
            raise StripeError(message, param=f"metadata[{name}]")
    return dict(value)
