"""From announcements to deliveries: one row for each endpoint that wants to be told.

It runs in a job of its own, so that whoever announces pays for one row only. A second run writes
nothing: a delivery is unique by endpoint and announcement.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, Final, cast

from sqlalchemy import Table, and_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.db import clock_of
from meet2be.db.columns import new_uid
from meet2be.events.models import Event
from meet2be.webhooks.bodies import body_of, canonical, unique_key
from meet2be.webhooks.facts import DeliveriesReady, Ready
from meet2be.webhooks.models import (
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEndpointEvent,
    WebhookEvent,
)

DISABLED: Final = "endpoint_disabled"
AT_ONCE: Final = 500
LARGEST_OBJECT: Final = 64_000
"""Bytes of a whole object: what is larger is left out, and receivers ask the API for it."""
_DELIVERIES = cast("Table", WebhookDelivery.__table__)
_D = _DELIVERIES.c
# Neither a second delivery of the same announcement, nor one of the same bytes to the same address.
_INSERT_UNSEEN = {
    name: dialect.insert(_DELIVERIES)
    .on_conflict_do_nothing()
    .returning(_D.id, _D.endpoint_id, _D.unique_key, _D.status, _D.is_test)
    for name, dialect in (("postgresql", postgresql), ("sqlite", sqlite))
}


ObjectOf = Callable[[Session, str, str], Mapping[str, Any] | None]
"""Gives a thing of the tenant by its kind and uid as the API shows it; None when it is gone."""


@dataclass(slots=True)
class Told:
    """An announcement as it is sent to everybody, thin or with the whole object."""

    row: WebhookEvent
    event_uid: str | None
    is_test: bool
    whole: Callable[[], Mapping[str, Any] | None]
    _bodies: dict[bool, tuple[bytes, bool]] = field(default_factory=dict)

    def body_for(self, endpoint: WebhookEndpoint) -> tuple[bytes, bool]:
        """Return the bytes that are sent to an endpoint, and whether they bear an object.

        Each kind is made once.
        """
        kind = endpoint.full_data
        if kind not in self._bodies:
            row, whole = self.row, self.whole() if kind else None
            body = body_of(
                uid=row.uid,
                type_name=row.type,
                sequence=row.id,
                occurred_at=row.occurred_at,
                subject=(row.subject_type, row.subject_uid),
                event_uid=self.event_uid,
                data=row.data,
                is_test=self.is_test,
                further={"object": whole} if kind else None,
            )
            self._bodies[kind] = body, whole is not None
        return self._bodies[kind]


def spread(session: Session, event_ids: Sequence[int], object_of: ObjectOf) -> int:
    """Write the deliveries of these announcements; returns how many are new. The caller commits.

    ``object_of`` is asked once for each announcement that an endpoint wants with the whole object.
    """
    endpoints = session.scalars(
        select(WebhookEndpoint)
        .where(WebhookEndpoint.status != "deleted")
        .order_by(WebhookEndpoint.id)
    ).all()
    if not endpoints:
        return 0
    chosen, now = _chosen_events(session), clock_of(session).now()
    rows = (
        row_of(told, endpoint, now)
        for told in told_of(session, event_ids, object_of)
        for endpoint in endpoints
        if _wants(endpoint, told.row, chosen)
    )
    written = 0
    while batch := list(islice(rows, AT_ONCE)):
        written += insert(session, batch)
    return written


def insert(session: Session, rows: Sequence[dict[str, Any]]) -> int:
    """Write rows that are not there yet and let jobs send those that may be sent."""
    if not rows:
        return 0
    connection = session.connection()
    new = connection.execute(_INSERT_UNSEEN[connection.dialect.name], rows).all()
    ready = tuple(
        Ready(row.id, row.endpoint_id, row.unique_key, row.is_test)
        for row in new
        if row.status == "pending"
    )
    if ready:
        facts.note(session, DeliveriesReady(rows[0]["tenant_id"], ready))
    return len(new)


def told_of(
    session: Session,
    event_ids: Sequence[int],
    object_of: ObjectOf | None = None,
    *,
    is_test: bool = False,
) -> Iterator[Told]:
    """Return announcements as they are sent, in the order they were made."""
    found = session.execute(
        select(WebhookEvent, Event.uid)
        .outerjoin(
            Event,
            and_(Event.tenant_id == WebhookEvent.tenant_id, Event.id == WebhookEvent.event_id),
        )
        .where(WebhookEvent.id.in_(event_ids))
        .order_by(WebhookEvent.id)
    )
    for row, event_uid in found:
        yield Told(row, event_uid, is_test, partial(_whole, session, row, object_of))


def _whole(
    session: Session, row: WebhookEvent, object_of: ObjectOf | None
) -> Mapping[str, Any] | None:
    """Return an announcement's subject; None when it is gone, or too large to be sent."""
    found = object_of and object_of(session, row.subject_type, row.subject_uid)
    return found if found and len(canonical(found)) <= LARGEST_OBJECT else None


def row_of(
    told: Told, endpoint: WebhookEndpoint, now: datetime, *, is_test: bool = False
) -> dict[str, Any]:
    """Return a delivery's row as it begins at this endpoint."""
    status = {"enabled": "pending", "paused": "held"}.get(endpoint.status, "cancelled")
    body, has_object = told.body_for(endpoint)
    return {
        "uid": new_uid(),
        "tenant_id": endpoint.tenant_id,
        "endpoint_id": endpoint.id,
        "webhook_event_id": told.row.id,
        "type": told.row.type,
        "replay_no": 0,
        "is_test": is_test,
        "url_at_creation": endpoint.url,
        "body": body.decode(),
        "has_object": has_object,
        "unique_key": unique_key(endpoint.url, body),
        "status": status,
        "final_reason": DISABLED if status == "cancelled" else None,
        "settled_at": now if status == "cancelled" else None,
        "created_by": None,
    }


def _chosen_events(session: Session) -> dict[int, set[int]]:
    chosen: defaultdict[int, set[int]] = defaultdict(set)
    pairs = select(WebhookEndpointEvent.endpoint_id, WebhookEndpointEvent.event_id)
    for endpoint_id, event_id in session.execute(pairs):
        chosen[endpoint_id].add(event_id)
    return chosen


def _wants(endpoint: WebhookEndpoint, event: WebhookEvent, chosen: dict[int, set[int]]) -> bool:
    if not endpoint.all_types and event.type not in endpoint.event_types:
        return False
    return endpoint.all_events or event.event_id in chosen.get(endpoint.id, ())
