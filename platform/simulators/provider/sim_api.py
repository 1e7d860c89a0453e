"""The helper endpoints under `/_sim/`, which Stripe does not have: set up, misbehave, look in."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from aiohttp import web

from simulators.provider import payments, refunds, sessions
from simulators.provider.behaviour import Behaviour
from simulators.provider.errors import StripeError
from simulators.provider.events import resend
from simulators.provider.export import export, summary
from simulators.rules import RuleError

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.provider.ledger import Ledger
    from simulators.provider.shapes import Json
    from simulators.provider.webhooks import Timetable


class SimApi:
    """Carries out the helper calls on the ledger; effects are on disk before the answer."""

    def __init__(self, ledger: Ledger, timetable: Timetable) -> None:
        """Work on `ledger` and wake `timetable` after every change."""
        self._ledger = ledger
        self._timetable = timetable
        self._routes: tuple[tuple[str, re.Pattern[str], Callable[..., Any]], ...] = (
            ("GET", re.compile(r"/_sim/health"), self._health),
            ("POST", re.compile(r"/_sim/payments"), self._payments),
            ("POST", re.compile(r"/_sim/payments/([^/]+)/dispute"), self._dispute),
            ("POST", re.compile(r"/_sim/payments/([^/]+)/settle"), self._settle_payment),
            ("POST", re.compile(r"/_sim/payments/([^/]+)/refund"), self._dashboard_refund),
            ("POST", re.compile(r"/_sim/pages/([^/]+)/pay"), self._pay_page),
            ("GET", re.compile(r"/_sim/behaviour"), self._behaviour),
            ("PUT", re.compile(r"/_sim/behaviour"), self._set_behaviour),
            ("DELETE", re.compile(r"/_sim/behaviour"), self._reset_behaviour),
            ("PUT", re.compile(r"/_sim/balance"), self._set_balance),
            ("POST", re.compile(r"/_sim/clock"), self._advance),
            ("POST", re.compile(r"/_sim/refunds/([^/]+)/settle"), self._settle),
            ("POST", re.compile(r"/_sim/events/([^/]+)/resend"), self._resend),
            ("GET", re.compile(r"/_sim/ledger"), self._ledger_export),
            ("GET", re.compile(r"/_sim/ledger/summary"), self._summary),
        )

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Answer one helper call with JSON; mistakes get a 4xx that says what to do."""
        try:
            body = await self._done(request)
        except StripeError as error:
            return web.json_response(error.body(), status=error.status)
        except (RuleError, TypeError, ValueError, KeyError) as error:
            text = f"The helper call could not be carried out: {error}"
            return web.json_response({"error": {"message": text}}, status=400)
        return web.json_response(body)

    async def _done(self, request: web.BaseRequest) -> Json | list[Json]:
        action, arguments = self._route(request.method, request.path)
        raw = await request.read()
        if request.method in {"POST", "PUT"}:
            arguments.append(_body(raw, list if request.path == "/_sim/payments" else dict))
        if request.method == "GET":
            result: Json | list[Json] = action(*arguments)
        else:
            with self._ledger.store.atomic():
                result = action(*arguments)
            self._timetable.wake()
        await self._ledger.store.committed()
        return result

    def _route(self, method: str, path: str) -> tuple[Callable[..., Any], list[Any]]:
        for verb, pattern, action in self._routes:
            if verb == method and (match := pattern.fullmatch(path)):
                return action, [*match.groups()]
        message = f"There is no helper call {method} {path}."
        raise StripeError(message, status=404)

    def _health(self) -> Json:
        return {"ok": True}

    def _payments(self, items: list[Json]) -> list[Json]:
        return payments.create_many(self._ledger, items)

    def _dispute(self, identifier: str, body: Json) -> Json:
        reason = str(body.get("reason", "fraudulent"))
        return payments.open_dispute(self._ledger, identifier, reason)[0]

    def _settle_payment(self, identifier: str, body: Json) -> Json:
        status = str(body.get("status", "succeeded"))
        shape = payments.settle(self._ledger, identifier, status).shape
        sessions.tell_settled(self._ledger, identifier, status)
        return shape

    def _pay_page(self, identifier: str, body: Json) -> Json:
        return sessions.pay(self._ledger, identifier, str(body.get("card", "accepted")))

    def _dashboard_refund(self, identifier: str, body: Json) -> Json:
        return refunds.create_by_dashboard(self._ledger, identifier, body.get("amount")).shape

    def _behaviour(self) -> Json:
        return self._ledger.behaviour.to_json()

    def _set_behaviour(self, body: Json) -> Json:
        self._ledger.set_behaviour(self._ledger.behaviour.changed_by(body))
        return self._behaviour()

    def _reset_behaviour(self) -> Json:
        """Take every switch back but the webhooks' address and secret."""
        kept = self._ledger.behaviour.webhooks
        webhooks = {"url": kept.url, "secret": kept.secret}
        self._ledger.set_behaviour(Behaviour().changed_by({"webhooks": webhooks}))
        return self._behaviour()

    def _set_balance(self, body: Json) -> Json:
        account, currency = str(body.get("account") or ""), str(body["currency"]).lower()
        refunds.set_balance(self._ledger, account, currency, int(body["available"]))
        return {"currency": currency, "available": self._ledger.balance(account, currency)}

    def _advance(self, body: Json) -> Json:
        self._ledger.advance_clock(float(body["advance_seconds"]))
        while refunds.settle_due(self._ledger):
            continue
        sessions.expire_due(self._ledger)
        return {"now": self._ledger.clock.now(), "ahead_seconds": self._ledger.clock.offset}

    def _settle(self, identifier: str, body: Json) -> Json:
        status, reason = str(body.get("status", "succeeded")), body.get("failure_reason")
        return refunds.settle(self._ledger, identifier, status, reason).shape

    def _resend(self, identifier: str, _: Json) -> Json:
        return {"delivery": resend(self._ledger, identifier)}

    def _ledger_export(self) -> Json:
        return export(self._ledger)

    def _summary(self) -> Json:
        return summary(self._ledger)


def _body(raw: bytes, expected: type) -> Any:
    """Return the JSON body, an empty object for none; raises ValueError for another kind."""
    body = json.loads(raw) if raw else {}
    if not isinstance(body, expected):
        kind = "a list" if expected is list else "an object"
        message = f"the body must be {kind} in JSON, not {type(body).__name__}."
        raise ValueError(message)  # noqa: TRY004 - it is the caller's value, answered as a 400
    return body
