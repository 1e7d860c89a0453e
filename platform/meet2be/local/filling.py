"""An event with attendees and payments on a desk, so that there is something to try."""

from __future__ import annotations

import requests
from sqlalchemy import func, select

from meet2be.attendees.demo_list import DEMO_LIST
from meet2be.attendees.models import Attendee
from meet2be.attendees.services import import_file
from meet2be.audit.services import Actor
from meet2be.bootstrap import bootstrap
from meet2be.config import Settings
from meet2be.db import Database
from meet2be.events.models import Event
from meet2be.local.environment import LocalPlatform
from meet2be.local.seeding import DEMO_EVENT
from meet2be.payments.queries import provider_payments

PAYMENTS_A_CALL = 1000
TIMEOUT = 60


def fill_demo_event(settings: Settings, platform: LocalPlatform) -> int:
    """Import the demo's list into its event, unless somebody is in it; return how many are.

    The simulated provider is told of the payments the orders were made with, since without them it
    could refund nothing. Raises ``requests.RequestException`` when it does not answer.
    """
    services = bootstrap(settings)
    database = services.database
    with database.system_session("fill the demo's event", read_only=True) as session:
        event = session.scalars(select(Event).where(Event.slug == DEMO_EVENT)).one()
    if not _attendees_of(database, event):
        actor = Actor("system", "meet2be up")
        import_file(database, event.tenant_id, event.id, DEMO_LIST, actor=actor)
    _tell_provider(database, event, platform.provider_url)
    count = _attendees_of(database, event)
    services.close()
    return count


def _attendees_of(database: Database, event: Event) -> int:
    with database.tenant_session(event.tenant_id, read_only=True) as session:
        counted = select(func.count(Attendee.id)).where(Attendee.event_id == event.id)
        return session.scalar(counted) or 0


def _tell_provider(database: Database, event: Event, url: str) -> None:
    """Tell it again at each start: it ignores what it knows."""
    with database.tenant_session(event.tenant_id, read_only=True) as session:
        payments = list(provider_payments(session, event))
    for start in range(0, len(payments), PAYMENTS_A_CALL):
        some = payments[start : start + PAYMENTS_A_CALL]
        requests.post(f"{url}/_sim/payments", json=some, timeout=TIMEOUT).raise_for_status()
