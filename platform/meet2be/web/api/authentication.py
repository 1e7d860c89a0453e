"""Who calls: a bearer token, counted against its rate, with the scope an operation needs."""

from __future__ import annotations

from typing import Any, cast

from flask import current_app, g, request

from meet2be.api_tokens.services import SEEN_EVERY, Caller, find_caller, note_used
from meet2be.bootstrap import Services
from meet2be.language import N_, Message
from meet2be.web.api.operations import Operation
from meet2be.web.api.problems import Problem
from meet2be.web.api.rates import Rates

_MOST = 200
"""Characters of a header that could be a token."""


def authenticate(operation: Operation) -> Caller:
    """Return the caller; raises ``Problem`` 401, 429 or 403, in this order."""
    caller = _caller_of_request()
    if caller is None:
        raise Problem("unauthorized")
    _count(caller)
    if operation.scope is not None and operation.scope not in caller.scopes:
        raise missing_scope(operation.scope)
    if not operation.is_safe and caller.tenant_status != "active":
        raise Problem("tenant_suspended")
    return caller


def missing_scope(scope: str) -> Problem:
    """Return the problem 403 that names the scope a token does not have."""
    why = N_("This needs the permission '%(scope)s', which the token does not have.")
    return Problem("forbidden", Message(why, {"scope": scope}), more={"scope": scope})


def _caller_of_request() -> Caller | None:
    kind, _, text = request.headers.get("Authorization", "")[:_MOST].partition(" ")
    if kind.lower() != "bearer" or not text.strip():
        return None
    platform = cast("Services", current_app.extensions["meet2be"])
    now = platform.clock.now()
    with platform.database.system_session("find out whose API token this is", read_only=True) as s:
        caller = find_caller(s, text.strip(), now)
    if caller is not None and (
        caller.last_used_at is None or now - caller.last_used_at > SEEN_EVERY
    ):
        with platform.database.system_session("note that an API token is used") as session:
            note_used(session, caller, request.remote_addr, now)
    return caller


def _count(caller: Caller) -> None:
    rates: Rates = cast("Any", current_app.extensions["meet2be_api"]).rates
    rate = rates.count(caller.token_uid)
    if rate is None:
        return
    g.rate_headers = rate.headers()
    if rate.is_over:
        raise Problem(
            "too_many_requests",
            Message(
                "A token may make %(limit)s requests a minute. Come again in %(wait)s second.",
                {"limit": rate.limit, "wait": rate.reset},
                "A token may make %(limit)s requests a minute. Come again in %(wait)s seconds.",
                rate.reset,
            ),
        )
