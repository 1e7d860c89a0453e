"""Rows of webhooks for tests."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from meet2be.db import Database
from meet2be.webhooks.models import WebhookDelivery, WebhookEndpoint
from meet2be.webhooks.publishing import Announcement, publish
from meet2be.webhooks.spreading import spread

AT = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)


def make_endpoint(database: Database, tenant_id: int, **fields: Any) -> WebhookEndpoint:
    """Return a new enabled endpoint that wants every type."""
    values = {
        "url": "https://receiver.example.org/hook",
        "all_types": True,
        "enabled_at": database.clock.now(),
        **fields,
    }
    with database.tenant_session(tenant_id) as session:
        endpoint = WebhookEndpoint(**values)
        session.add(endpoint)
        session.commit()
    return endpoint


def announcement(number: int = 1, **fields: Any) -> Announcement:
    """Return an announcement; each number is another cause."""
    values = {
        "type": "refund.succeeded",
        "subject_type": "refund",
        "subject_uid": f"refund-{number}",
        "dedupe_key": f"refund.succeeded:{number}",
        "occurred_at": AT,
        "data": {"amount_minor": 100 * number},
        **fields,
    }
    return Announcement(**values)


def deliveries_of(database: Database, tenant_id: int) -> list[WebhookDelivery]:
    """Return all deliveries of a tenant, the oldest first."""
    with database.tenant_session(tenant_id) as session:
        return list(session.scalars(select(WebhookDelivery).order_by(WebhookDelivery.id)))


def announce_and_spread(
    database: Database, tenant_id: int, *announcements: Announcement
) -> list[WebhookDelivery]:
    """Announce, bring it to the endpoints, and return all deliveries of the tenant."""
    from meet2be.webhooks.models import WebhookEvent

    with database.tenant_session(tenant_id) as session:
        for each in announcements or (announcement(),):
            publish(session, each)
        session.flush()
        spread(session, list(session.scalars(select(WebhookEvent.id))))
        session.commit()
    return deliveries_of(database, tenant_id)
