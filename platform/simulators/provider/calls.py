"""The API's calls: which path is which, and what each of them does on the ledger."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from simulators.provider import payments, refunds, sessions
from simulators.provider.behaviour import (
    PAYMENT_CREATE,
    REFUND_CREATE,
    SESSION_CREATE,
    stored_error,
)
from simulators.provider.errors import StripeError, missing, outage
from simulators.provider.shapes import (
    PAYMENT_COLUMNS,
    REFUND_COLUMNS,
    Json,
    Payment,
    Refund,
    listed,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.provider.ledger import Ledger

ROUTES: tuple[tuple[str, re.Pattern[str], str], ...] = (
    ("POST", re.compile(r"/v1/refunds"), REFUND_CREATE),
    ("GET", re.compile(r"/v1/refunds"), "refund.list"),
    ("GET", re.compile(r"/v1/refunds/([^/]+)"), "refund.retrieve"),
    ("POST", re.compile(r"/v1/refunds/([^/]+)"), "refund.update"),
    ("GET", re.compile(r"/v1/payment_intents/search"), "payment_intent.search"),
    ("GET", re.compile(r"/v1/payment_intents/([^/]+)"), "payment_intent.retrieve"),
    ("GET", re.compile(r"/v1/payment_intents"), "payment_intent.list"),
    ("POST", re.compile(r"/v1/payment_intents"), "payment_intent.create"),
    ("POST", re.compile(r"/v1/checkout/sessions"), SESSION_CREATE),
    ("GET", re.compile(r"/v1/checkout/sessions/([^/]+)"), "checkout_session.retrieve"),
    ("POST", re.compile(r"/v1/checkout/sessions/([^/]+)/expire"), "checkout_session.expire"),
    ("GET", re.compile(r"/v1/charges/([^/]+)"), "charge.retrieve"),
    ("GET", re.compile(r"/v1/balance"), "balance.retrieve"),
    ("GET", re.compile(r"/v1/events"), "event.list"),
    ("GET", re.compile(r"/v1/events/([^/]+)"), "event.retrieve"),
)
READS = frozenset(kind for method, _, kind in ROUTES if method == "GET")
DEFAULT_PAGE = 10
_CREATED = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


@dataclass
class Call:
    """One request to the API, understood: what is to be done, for whom, with which parameters."""

    kind: str
    target: str
    account: str
    form: Json
    key: str | None = None


@dataclass
class Answer:
    """Status and body of an answer, and the deliveries that its effect has caused."""

    status: int
    body: str
    deliveries: list[int] = field(default_factory=list)


def route(method: str, path: str) -> tuple[str, str]:
    """Return the call's kind and the id in its path ('' for none); raises Stripe's 404."""
    for verb, pattern, kind in ROUTES:
        if verb == method and (match := pattern.fullmatch(path)):
            return kind, match[1] if pattern.groups else ""
    message = f"Unrecognized request URL ({method}: {path})."
    raise StripeError(message, status=404)


def subject_of(ledger: Ledger, call: Call) -> str:
    """Return the payment intent that a call is about, '' for none: switches go by it.

    A payment that is yet to be made is known by its payment method.
    """
    if call.kind == PAYMENT_CREATE:
        return str(call.form.get("payment_method") or "")
    identifier = str(call.form.get("payment_intent") or call.form.get("charge") or call.target)
    if identifier.startswith("pi_") or not identifier:
        return identifier
    if identifier.startswith("re_"):
        row = ledger.store.row("SELECT payment FROM refunds WHERE id = ?", (identifier,))
        return "" if row is None else str(row[0])
    payment = payments.find(ledger, identifier)
    return identifier if payment is None else payment.id


def carry_out(ledger: Ledger, call: Call) -> Answer:
    """Do what the call asks; refusals and stored failures are answers too, not exceptions."""
    try:
        if call.kind in READS:
            shape, deliveries = _done(ledger, call)
        else:
            with ledger.store.atomic():
                shape, deliveries = _done(ledger, call)
    except StripeError as error:
        return Answer(error.status, json.dumps(error.body()))
    if call.kind in {REFUND_CREATE, PAYMENT_CREATE, SESSION_CREATE}:
        subject = shape.get("payment_intent") or subject_of(ledger, call)
        status = stored_error(ledger.behaviour.book, "error_after", call.kind, subject)
        if status is not None:
            return Answer(status, json.dumps(outage(status).body()), deliveries)
    _expand(ledger, shape, call.form.get("expand"))
    return Answer(200, json.dumps(shape), deliveries)


def _done(ledger: Ledger, call: Call) -> tuple[Json, list[int]]:
    status = stored_error(
        ledger.behaviour.book, "error_before", call.kind, subject_of(ledger, call)
    )
    if status is not None:
        raise outage(status)
    if call.kind == REFUND_CREATE:
        made = refunds.create(ledger, call.account, call.form, call.key)
        return made.shape, made.deliveries
    if call.kind == PAYMENT_CREATE:
        paid = payments.create(ledger, call.account, call.form)
        return paid.shape, paid.deliveries
    if call.kind == SESSION_CREATE:
        return sessions.create(ledger, call.account, call.form), []
    if call.kind == "checkout_session.expire":
        return sessions.expire(ledger, call.account, call.target)
    return _read_or_changed(ledger, call), []


def _read_or_changed(ledger: Ledger, call: Call) -> Json:
    account, target, form = call.account, call.target, call.form
    match call.kind.split("."):
        case [_, "list"]:
            return _LISTS[call.kind](ledger, account, form)
        case ["refund", "update"]:
            return refunds.update_metadata(ledger, account, target, form.get("metadata", {}))
        case ["payment_intent", "search"]:
            found = payments.search(ledger, account, str(form.get("query", "")))
            page = listed("/v1/payment_intents/search", found, has_more=False)
            return {**page, "object": "search_result"}
        case _:
            return _RETRIEVES[call.kind](ledger, account, target)


def _refund(ledger: Ledger, account: str, target: str) -> Json:
    return refunds.shape(ledger, refunds.find(ledger, target, account))


def _intent(ledger: Ledger, account: str, target: str) -> Json:
    return payments.get(ledger, target, account, "payment_intent", "intent").intent()


def _charge(ledger: Ledger, account: str, target: str) -> Json:
    return payments.get(ledger, target, account, "charge", "id").charge_object()


def _session(ledger: Ledger, account: str, target: str) -> Json:
    return sessions.find(ledger, target, account).shape(ledger)


def _list_refunds(ledger: Ledger, account: str, form: Json) -> Json:
    where: list[tuple[str, object]] = [("account = ?", account)]
    if "payment_intent" in form or "charge" in form:
        param = "charge" if "charge" in form else "payment_intent"
        where.append(("payment = ?", payments.get(ledger, form[param], account, param, param).id))
    rows, more = _page(ledger, "refunds", REFUND_COLUMNS, where, form)
    data = [refunds.shape(ledger, Refund(*row)) for row in rows]
    return listed("/v1/refunds", data, has_more=more)


def _list_payments(ledger: Ledger, account: str, form: Json) -> Json:
    rows, more = _page(ledger, "payments", PAYMENT_COLUMNS, [("account = ?", account)], form)
    return listed("/v1/payment_intents", [Payment(*row).intent() for row in rows], has_more=more)


def _list_events(ledger: Ledger, account: str, form: Json) -> Json:
    where: list[tuple[str, object]] = [("account = ?", account)]
    if "type" in form:
        where.append(("type = ?", form["type"]))
    rows, more = _page(ledger, "events", "body", where, form)
    return listed("/v1/events", [json.loads(row[0]) for row in rows], has_more=more)


def _event(ledger: Ledger, account: str, target: str) -> Json:
    row = ledger.store.row(
        "SELECT body FROM events WHERE id = ? AND account = ?", (target, account)
    )
    if row is None:
        raise missing("event", target, "id")
    event: Json = json.loads(row[0])
    return event


def _balance(ledger: Ledger, account: str, _: str) -> Json:
    rows = ledger.store.rows(
        "SELECT currency, available FROM balances WHERE account = ? ORDER BY currency", (account,)
    )
    available = [
        {"amount": amount, "currency": currency, "source_types": {"card": amount}}
        for currency, amount in rows
    ]
    pending = [{**item, "amount": 0, "source_types": {"card": 0}} for item in available]
    return {"object": "balance", "available": available, "pending": pending, "livemode": False}


_LISTS: dict[str, Callable[[Ledger, str, Json], Json]] = {
    "refund.list": _list_refunds,
    "payment_intent.list": _list_payments,
    "event.list": _list_events,
}
_RETRIEVES: dict[str, Callable[[Ledger, str, str], Json]] = {
    "refund.retrieve": _refund,
    "payment_intent.retrieve": _intent,
    "charge.retrieve": _charge,
    "checkout_session.retrieve": _session,
    "balance.retrieve": _balance,
    "event.retrieve": _event,
}


def _page(
    ledger: Ledger, table: str, columns: str, where: list[tuple[str, object]], form: Json
) -> tuple[list[tuple[Any, ...]], bool]:
    """Return one page, newest first, and whether more follows in the direction asked for."""
    conditions = list(where)
    backwards = "ending_before" in form
    for param, sign in (("starting_after", "<"), ("ending_before", ">")):
        if param in form:
            conditions.append((f"seq {sign} ?", _cursor(ledger, table, param, form[param])))
    created = form.get("created", {})
    if isinstance(created, dict):
        conditions += [
            (f"created {_CREATED[name]} ?", int(value))
            for name, value in created.items()
            if name in _CREATED
        ]
    limit = form.get("limit", DEFAULT_PAGE)
    rows = ledger.store.rows(
        f"SELECT {columns} FROM {table} WHERE "  # noqa: S608 - constants; values are bound
        + " AND ".join(text for text, _ in conditions)
        + f" ORDER BY seq {'ASC' if backwards else 'DESC'} LIMIT ?",
        [*(value for _, value in conditions), limit + 1],
    )
    page = rows[:limit]
    return page[::-1] if backwards else page, len(rows) > limit


def _cursor(ledger: Ledger, table: str, param: str, identifier: str) -> int:
    row = ledger.store.row(
        f"SELECT seq FROM {table} WHERE id = ?",  # noqa: S608 - a constant
        (identifier,),
    )
    if row is None:
        raise missing(table.rstrip("s"), identifier, param)
    return int(row[0])


def _expand(ledger: Ledger, shape: Json, paths: object) -> None:
    """Replace ids by their objects where `expand[]` asks for it; one level, lists by `data.`."""
    for path in paths if isinstance(paths, list) else []:
        if path.startswith("data."):
            for item in shape.get("data", []):
                _expand(ledger, item, [path.removeprefix("data.")])
            continue
        identifier = shape.get(path)
        if path not in {"latest_charge", "charge", "payment_intent"} or path not in shape:
            message = f"This property cannot be expanded: {path}."
            raise StripeError(message, param="expand")
        payment = payments.find(ledger, identifier) if isinstance(identifier, str) else None
        if payment is not None:
            by_intent = path == "payment_intent"
            shape[path] = payment.intent() if by_intent else payment.charge_object()
