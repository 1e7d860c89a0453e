"""Rows of webhooks for tests."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select, update

from meet2be.audit.services import Actor
from meet2be.db import Database
from meet2be.integrations.guarded_addresses import AddressRules
from meet2be.integrations.guarded_http import CallLimits, GuardedHttp
from meet2be.integrations.guarded_urls import UrlRules
from meet2be.objects.all import object_of
from meet2be.webhooks.delivering import WebhookDeliveries
from meet2be.webhooks.endpoints import (
    EndpointDraft,
    Workbench,
    add_endpoint,
    check_address,
    endpoint_of,
)
from meet2be.webhooks.ledger import Aside
from meet2be.webhooks.models import (
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)
from meet2be.webhooks.publishing import Announcement, publish
from meet2be.webhooks.spreading import spread
from meet2be.webhooks.vault import Vault
from meet2be.webhooks.verdicts import Verdict
from onqueue.testing.clock import FakeClock
from support.factories import make_tenant, make_user

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
    with database.tenant_session(tenant_id) as session:
        for each in announcements or (announcement(),):
            publish(session, each)
        session.flush()
        spread(session, list(session.scalars(select(WebhookEvent.id))), object_of)
        session.commit()
    return deliveries_of(database, tenant_id)


KEY = "k" * 40


@dataclass
class Stage:
    """A tenant with an endpoint, and what sends to it."""

    database: Database
    clock: FakeClock
    deliveries: WebhookDeliveries
    bench: Workbench
    tenant_id: int
    endpoint: WebhookEndpoint
    secret: str

    def announced(self, number: int = 1) -> WebhookDelivery:
        """Return a new delivery."""
        return announce_and_spread(self.database, self.tenant_id, announcement(number))[-1]

    def deliver(self, delivery: WebhookDelivery) -> Verdict | Aside:
        return self.deliveries.deliver(self.tenant_id, delivery.id)

    def row(self, delivery: WebhookDelivery) -> WebhookDelivery:
        with self.database.tenant_session(self.tenant_id) as session:
            return session.get_one(WebhookDelivery, delivery.id)

    def attempts(self, delivery: WebhookDelivery) -> list[WebhookAttempt]:
        with self.database.tenant_session(self.tenant_id) as session:
            statement = select(WebhookAttempt).where(WebhookAttempt.delivery_id == delivery.id)
            return list(session.scalars(statement.order_by(WebhookAttempt.n)))

    def health(self) -> WebhookEndpoint:
        with self.database.tenant_session(self.tenant_id) as session:
            return session.get_one(WebhookEndpoint, self.endpoint.id)

    def change(self, **values: object) -> None:
        """Change the endpoint's row."""
        self._change(WebhookEndpoint, self.endpoint.id, values)

    def change_delivery(self, delivery: WebhookDelivery, **values: object) -> None:
        """Change a delivery's row."""
        self._change(WebhookDelivery, delivery.id, values)

    def _change(self, rows: Any, number: int, values: dict[str, object]) -> None:
        with self.database.tenant_session(self.tenant_id) as session:
            session.execute(
                update(rows)
                .where(rows.id == number)
                .values(**values)
                .execution_options(synchronize_session=False)
            )
            session.commit()


AMPLE = CallLimits(connect=30, total=60)


def staged(
    database: Database,
    clock: FakeClock,
    url: str,
    *,
    limits: CallLimits = AMPLE,
    **draft: object,
) -> Stage:
    tenant = make_tenant(database)
    user = make_user(database, tenant, "admin")
    http = GuardedHttp(
        UrlRules(allow_http=True, ports=frozenset()),
        AddressRules(allowed=["127.0.0.0/8"]),
        limits=limits,
    )
    bench = Workbench(http, Vault([KEY]), Actor("user", str(user.id)), user.id)
    with database.tenant_session(tenant.id) as session:
        given = {"url": url, "all_types": True, **draft}
        wanted = EndpointDraft(**given)  # type: ignore[arg-type]
        endpoint, secret = add_endpoint(session, bench, wanted, check_address(bench, wanted.url))
        session.commit()
        kept = endpoint_of(session, endpoint.uid)
    deliveries = WebhookDeliveries(database, http, bench.vault, clock)
    return Stage(database, clock, deliveries, bench, tenant.id, kept, secret)
