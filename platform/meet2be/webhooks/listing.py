"""Endpoints and deliveries as their pages show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from meet2be.db.keyset import Order, Page, Slice, by_number, fetch_merged
from meet2be.events.models import Event
from meet2be.webhooks.models import (
    DELIVERY_STATUSES,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEndpointEvent,
    WebhookEvent,
)
from meet2be.webhooks.replaying import Filters

NEWEST_FIRST = Order((WebhookDelivery.created_at, WebhookDelivery.id), descending=True)
MOST_EVENTS = 200


@dataclass(frozen=True, slots=True)
class DeliveryDetails:
    """A delivery with its endpoint, what it tells, and every attempt."""

    delivery: WebhookDelivery
    endpoint: WebhookEndpoint
    event: WebhookEvent
    attempts: Sequence[WebhookAttempt]


def endpoints(session: Session) -> Sequence[WebhookEndpoint]:
    """Return the endpoints that are not deleted, the oldest first."""
    return session.scalars(
        select(WebhookEndpoint)
        .where(WebhookEndpoint.status != "deleted")
        .order_by(WebhookEndpoint.id)
    ).all()


def success_rate(endpoint: WebhookEndpoint) -> int | None:
    """Return how many per cent of the last attempts succeeded; None before the first one."""
    if not endpoint.recent:
        return None
    return round(100 * endpoint.recent.count("s") / len(endpoint.recent))


def deliveries_page(session: Session, wanted: Filters, part: Slice) -> Page:
    """Return a page of (delivery, its endpoint), the newest first.

    Places are named by `WebhookDelivery.id`.
    """
    statement = select(WebhookDelivery, WebhookEndpoint).join(WebhookEndpoint, _of_endpoint())
    # The index of an endpoint's goes on with the status.
    by_status = wanted.statuses or (
        DELIVERY_STATUSES if wanted.endpoint_id is not None and not wanted.type else ()
    )
    each_status = [replace(wanted, statuses=(one,)) for one in by_status] or [wanted]
    statements = [each.narrow(statement) for each in each_status]
    place = by_number(session, NEWEST_FIRST, part)
    return fetch_merged(session, statements, NEWEST_FIRST, place, whole_rows=True)


def position_of(session: Session, uid: str) -> tuple[object, ...] | None:
    """Return where a delivery stands in the list; None when it is not the tenant's."""
    found = session.scalar(select(WebhookDelivery.id).where(WebhookDelivery.uid == uid))
    return None if found is None else (found,)


def delivery_details(session: Session, uid: str) -> DeliveryDetails | None:
    """Return one delivery of the tenant with everything known about it."""
    row = session.execute(
        select(WebhookDelivery, WebhookEndpoint, WebhookEvent)
        .join(WebhookEndpoint, _of_endpoint())
        .join(
            WebhookEvent,
            and_(
                WebhookEvent.tenant_id == WebhookDelivery.tenant_id,
                WebhookEvent.id == WebhookDelivery.webhook_event_id,
            ),
        )
        .where(WebhookDelivery.uid == uid)
    ).one_or_none()
    if row is None:
        return None
    delivery, endpoint, event = row
    attempts = session.scalars(
        select(WebhookAttempt)
        .where(WebhookAttempt.delivery_id == delivery.id)
        .order_by(WebhookAttempt.n)
    ).all()
    return DeliveryDetails(delivery, endpoint, event, attempts)


def choosable_events(session: Session) -> Sequence[Event]:
    """Return the conferences an endpoint can be narrowed to, the latest first."""
    return session.scalars(select(Event).order_by(Event.starts_at.desc()).limit(MOST_EVENTS)).all()


def chosen_events(session: Session, endpoint: WebhookEndpoint) -> list[str]:
    """Return the uids of the conferences an endpoint is about; none when it is about all."""
    return list(
        session.scalars(
            select(Event.uid)
            .join(
                WebhookEndpointEvent,
                and_(
                    WebhookEndpointEvent.tenant_id == Event.tenant_id,
                    WebhookEndpointEvent.event_id == Event.id,
                ),
            )
            .where(WebhookEndpointEvent.endpoint_id == endpoint.id)
        )
    )


def _of_endpoint() -> Any:
    return and_(
        WebhookEndpoint.tenant_id == WebhookDelivery.tenant_id,
        WebhookEndpoint.id == WebhookDelivery.endpoint_id,
    )
