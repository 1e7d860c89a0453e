"""The HTTP side of the provider: authentication, keys, misbehaviour, answers."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
import secrets
from typing import TYPE_CHECKING

from aiohttp import web

from simulators.provider.behaviour import REFUND_CREATE, NetworkPlan
from simulators.provider.calls import READS, Answer, Call, carry_out, route, subject_of
from simulators.provider.errors import ConnectionCut, StripeError, outage
from simulators.provider.forms import parse_form
from simulators.provider.idempotency import IdempotencyKeys, fingerprint
from simulators.provider.paying_page import PREFIX, PayingPage
from simulators.provider.shapes import API_VERSION
from simulators.provider.validation import checked

if TYPE_CHECKING:
    from simulators.provider.ledger import Ledger
    from simulators.provider.sim_api import SimApi
    from simulators.provider.webhooks import Timetable

log = logging.getLogger(__name__)
MAX_BODY = 64 * 1024 * 1024


class Provider:
    """Answers every request: Stripe's API under `/v1/`, the switches under `/_sim/`."""

    def __init__(
        self, ledger: Ledger, timetable: Timetable, sim: SimApi, api_key: str | None
    ) -> None:
        """Serve `ledger`; only `api_key` is let in, any `sk_test_…` when it is None."""
        self._ledger = ledger
        self._timetable = timetable
        self._sim = sim
        self._api_key = api_key
        self._keys = IdempotencyKeys(ledger)
        self._page = PayingPage(ledger, timetable)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; the connection is cut where a switch says so."""
        if request.path.startswith("/_sim"):
            # Thousands of payments in one request are more than aiohttp takes by default.
            return await self._sim.handle(request.clone(client_max_size=MAX_BODY))
        if request.path.startswith(PREFIX):
            return await self._page.handle(request)
        request_id = f"req_{secrets.token_hex(7)}"
        headers = {"Request-Id": request_id, "Stripe-Version": _version(request)}
        if key := request.headers.get("Idempotency-Key"):
            headers["Idempotency-Key"] = key
        try:
            answer = await self._answer(request, headers)
        except StripeError as error:
            answer = Answer(error.status, json.dumps(error.body()))
        except ConnectionCut:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        return web.Response(
            status=answer.status,
            body=answer.body.encode(),
            headers=headers,
            content_type="application/json",
        )

    async def _answer(self, request: web.BaseRequest, headers: dict[str, str]) -> Answer:
        self._authenticate(request)
        kind, target = route(request.method, request.path)
        body = (await request.read()).decode() if request.method == "POST" else ""
        form = parse_form(body or request.query_string)
        key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
        account = request.headers.get("Stripe-Account", "")
        call = Call(kind, target, account, checked(kind, form), key)
        self._ledger.calls[kind] += 1
        plan = NetworkPlan.draw(self._ledger.behaviour, kind, subject_of(self._ledger, call))
        if plan.rate_limited:
            self._ledger.calls["rate_limit"] += 1
            message = "Too many requests hit the simulated provider; slow down."
            raise StripeError(message, status=429, code="rate_limit")
        if key is None:
            return await self._carried_out(call, plan, None, headers)
        mark = fingerprint(request.method, request.path, form)
        return await self._with_key(call, key, plan, mark, headers)

    async def _with_key(
        self, call: Call, key: str, plan: NetworkPlan, mark: str, headers: dict[str, str]
    ) -> Answer:
        stored = self._keys.replay(call.account, key, mark)
        if stored is not None:
            status, body, original = stored
            headers["Idempotent-Replayed"] = "true"
            headers["Original-Request"] = original
            await self._spoil_before(plan)
            await asyncio.sleep(plan.latency / 2)
            # A replay, too, may have seen what is not on disk yet.
            await self._ledger.store.committed()
            return await self._spoil_after(plan, Answer(status, body))
        self._keys.begin(call.account, key)
        try:
            return await self._carried_out(call, plan, mark, headers)
        finally:
            self._keys.end(call.account, key)

    async def _carried_out(
        self, call: Call, plan: NetworkPlan, mark: str | None, headers: dict[str, str]
    ) -> Answer:
        """Carry the call out half-way through its latency: a client can die on either side."""
        await self._spoil_before(plan)
        if call.kind in READS:
            answer = carry_out(self._ledger, call)
        else:
            with self._ledger.store.atomic():
                answer = carry_out(self._ledger, call)
                if call.key is not None and mark is not None:
                    self._keys.keep(call.account, call.key, mark, headers["Request-Id"], answer)
        await self._ledger.store.committed()
        if answer.deliveries and self._ledger.behaviour.webhooks.early:
            await self._timetable.deliver_now(answer.deliveries)
        if answer.deliveries or call.kind == REFUND_CREATE:
            self._timetable.wake()
        if plan.latency:
            await asyncio.sleep(plan.latency / 2)
        if call.key is not None:
            self._keys.end(call.account, call.key)
        return await self._spoil_after(plan, answer)

    async def _spoil_before(self, plan: NetworkPlan) -> None:
        if plan.hang is not None:
            await asyncio.sleep(plan.hang)
            raise ConnectionCut
        if plan.latency:
            await asyncio.sleep(plan.latency / 2)
        if plan.error_before is not None:
            raise outage(plan.error_before)

    async def _spoil_after(self, plan: NetworkPlan, answer: Answer) -> Answer:
        if plan.silence is not None:
            await asyncio.sleep(plan.silence)
            raise ConnectionCut
        if plan.error_after is not None:
            raise outage(plan.error_after)
        return answer

    def _authenticate(self, request: web.BaseRequest) -> None:
        key = _api_key(request.headers.get("Authorization", ""))
        if key and (key == self._api_key or (not self._api_key and key.startswith("sk_test_"))):
            return
        message = (
            f"Invalid API key provided: '{key[:8]}…'." if key else "You did not provide an API key."
        )
        raise StripeError(message, status=401)


def _api_key(header: str) -> str:
    """Return the key of a Bearer header or the user of a Basic one, '' for none."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return value.strip() if scheme.lower() == "bearer" else ""


def _version(request: web.BaseRequest) -> str:
    return request.headers.get("Stripe-Version", API_VERSION)
