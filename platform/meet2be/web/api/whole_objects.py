"""What a token must be allowed to read before webhooks send or show it whole objects.

An endpoint with `full_data` is sent what the API gives by GET, so whoever says where that goes, or
reads it in the log, needs the same scopes as for asking. On the pages people need no more than
their role: nobody below an admin comes to the webhooks, and an admin may read all of these.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import select

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
_HOLDS_ONE: Final = '%"object":{%'
"""Bodies with an object; one that only looks so asks for a scope too many, never too few."""


def check_types(call: Call, types: Iterable[str] | None) -> None:
    """Raise ``Problem`` 403 unless the token may read the subjects of these types; None: of all."""
    named = TYPES if types is None else [each for each in types if each in TYPES]
    needed = {SCOPE_OF[TYPES[name].subject] for name in named}
    for scope in sorted(needed - set(call.caller.scopes)):
        raise missing_scope(scope)


def check_endpoint(call: Call, endpoint: WebhookEndpoint, new_url: str) -> None:
    """Raise ``Problem`` 403 where an endpoint, as it is, is sent what the token may not read.

    What waits goes to a new address, with objects from when the endpoint was sent whole ones.
    """
    if endpoint.full_data:
        check_types(call, None if endpoint.all_types else endpoint.event_types)
    if endpoint.url != new_url:
        _check_bodies(call, Filters(endpoint_id=endpoint.id), is_replay=False)


def check_replay(call: Call, wanted: Filters) -> None:
    """Raise ``Problem`` 403 where a replay would send objects that the token may not read."""
    _check_bodies(call, wanted, is_replay=True)


def check_body(call: Call, delivery: WebhookDelivery) -> None:
    """Raise ``Problem`` 403 when a delivery's body holds an object that the token may not read."""
    if _told(delivery).get("object") is not None:
        check_types(call, [delivery.type])


def body_shown(call: Call, delivery: WebhookDelivery) -> str:
    """Return a delivery's body, without its object when the token may not read that."""
    told = _told(delivery)
    kind = TYPES.get(delivery.type)
    if told.get("object") is None:
        return delivery.body
    if kind is not None and SCOPE_OF[kind.subject] in call.caller.scopes:
        return delivery.body
    del told["object"]
    return canonical(told).decode()


def _told(delivery: WebhookDelivery) -> dict[str, Any]:
    """Return what a delivery's body holds: nothing when it was taken away or is none of ours."""
    try:
        told = json.loads(delivery.body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _check_bodies(call: Call, wanted: Filters, *, is_replay: bool) -> None:
    hidden = [
        name for name, each in TYPES.items() if SCOPE_OF[each.subject] not in call.caller.scopes
    ]
    if not hidden:
        return
    row = WebhookDelivery
    statuses = REPLAYABLE if is_replay else ON_ITS_WAY
    held = wanted.narrow(select(row.type)).where(
        row.status.in_(statuses), row.type.in_(hidden), row.body.like(_HOLDS_ONE)
    )
    found = call.reading.scalar(held.limit(1))
    if found is not None:
        check_types(call, [found])
