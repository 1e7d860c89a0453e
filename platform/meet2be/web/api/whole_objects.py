"""What a token must be allowed to read before webhooks send or show it whole objects.

An endpoint with `full_data` is sent what the API gives by GET, so whoever says where that goes, or
reads it in the log, needs the same scopes as for asking. On the pages people need no more than
their role: nobody below an admin comes to the webhooks, and an admin may read all of these.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.web.api.authentication import missing_scope
from meet2be.web.api.calls import Call
from meet2be.webhooks.bodies import canonical
from meet2be.webhooks.catalogue import TYPES
from meet2be.webhooks.models import ON_ITS_WAY, WebhookDelivery, WebhookEndpoint
from meet2be.webhooks.replaying import REPLAYABLE, Filters

SCOPE_OF: Final = {
    "attendee": "attendees:read",
    "event": "events:read",
    "export": "exports:read",
    "import": "imports:read",
    "invitation": "members:read",
    "mail": "mails:read",
    "member": "members:read",
    "order": "orders:read",
    "refund": "refunds:read",
    "ticket_type": "events:read",
}
"""What reads each kind of subject."""


def check_types(call: Call, types: Iterable[str] | None) -> None:
    """Raise ``Problem`` 403 unless the token may read the subjects of these types; None: of all.

    A type that nobody knows any more is announced no more, so it needs nothing here.
    """
    named = TYPES if types is None else [each for each in types if each in TYPES]
    needed = {SCOPE_OF[TYPES[name].subject] for name in named}
    for scope in sorted(needed - set(call.caller.scopes)):
        raise missing_scope(scope)


def check_endpoint(call: Call, session: Session, endpoint: WebhookEndpoint, new_url: str) -> None:
    """Raise ``Problem`` 403 where an endpoint, as it is, is sent what the token may not read.

    What waits goes to a new address, with objects from when the endpoint was sent whole ones. It
    holds for as long as the session's lock on the endpoint: nothing new waits for it meanwhile.
    """
    if endpoint.full_data:
        check_types(call, None if endpoint.all_types else endpoint.event_types)
    if endpoint.url != new_url:
        _check_bodies(call, session, Filters(endpoint_id=endpoint.id), ON_ITS_WAY)


def check_replay(call: Call, wanted: Filters) -> None:
    """Raise ``Problem`` 403 where a replay would send objects that the token may not read."""
    _check_bodies(call, call.reading, wanted, REPLAYABLE)


def check_body(call: Call, delivery: WebhookDelivery) -> None:
    """Raise ``Problem`` 403 when a delivery's body holds an object that the token may not read."""
    if delivery.has_object is not False:
        _check_body_of(call, delivery.type)


def body_shown(call: Call, delivery: WebhookDelivery) -> str:
    """Return a delivery's body, without its object when the token may not read that."""
    kind = TYPES.get(delivery.type)
    if kind is not None and SCOPE_OF[kind.subject] in call.caller.scopes:
        return delivery.body
    told = _told(delivery)
    if told.pop("object", None) is None:
        return delivery.body
    return canonical(told).decode()


def _told(delivery: WebhookDelivery) -> dict[str, Any]:
    """Return what a delivery's body holds: nothing when it was taken away or is none of ours."""
    try:
        told = json.loads(delivery.body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _check_body_of(call: Call, type_name: str) -> None:
    """Raise ``Problem`` 403 unless the token may read the object in a body of this type.

    Of a type that nobody knows any more nobody knows the subject: it needs all scopes.
    """
    kind = TYPES.get(type_name)
    needed = set(SCOPE_OF.values()) if kind is None else {SCOPE_OF[kind.subject]}
    for scope in sorted(needed - set(call.caller.scopes)):
        raise missing_scope(scope)


def _check_bodies(call: Call, session: Session, wanted: Filters, statuses: Sequence[str]) -> None:
    if set(SCOPE_OF.values()) <= set(call.caller.scopes):
        return
    row = WebhookDelivery
    readable = [
        name for name, each in TYPES.items() if SCOPE_OF[each.subject] in call.caller.scopes
    ]
    held = wanted.narrow(select(row.type)).where(
        row.has_object.is_not(False), row.status.in_(statuses), row.type.not_in(readable)
    )
    found = session.scalar(held.limit(1))
    if found is not None:
        _check_body_of(call, found)
