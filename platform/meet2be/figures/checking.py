"""The nightly check of the figures against the refund ledger, to the cent."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.db import Database, snapshot
from meet2be.events.facts import EventDataStale
from meet2be.events.models import Event
from meet2be.figures.computing import refunds_made
from meet2be.figures.models import EventStats, EventStatsDaily

logger: Final = logging.getLogger(__name__)
LOOKED_BACK: Final = timedelta(days=400)
"""Events that ended longer ago are not looked at any more."""


def differences(session: Session, event: Event) -> dict[str, int]:
    """Return by currency how far the kept figures are from the ledger, in minor units.

    Of the whole and of the days' sum, the one that is further off counts; empty when all fits.
    """
    ledger: Counter[str] = Counter()
    for amount, currency, _when in refunds_made(session, event):
        ledger[currency] += amount
    whole: Counter[str] = Counter()
    for row in session.scalars(select(EventStats).where(EventStats.event_id == event.id)):
        whole[row.currency] += row.refunded_minor
    days: Counter[str] = Counter()
    for day in session.scalars(select(EventStatsDaily).where(EventStatsDaily.event_id == event.id)):
        days[day.currency] += day.refunded_minor
    found = {}
    for currency in {*ledger, *whole, *days}:
        off = (whole[currency] - ledger[currency], days[currency] - ledger[currency])
        if any(off):
            found[currency] = max(off, key=abs)
    return found


def check_all_tx(database: Database, now: datetime) -> int:
    """Check the events that have figures; those that do not fit are computed anew, and counted."""
    with database.system_session("find events whose figures are checked", read_only=True) as all_:
        events = all_.execute(
            select(Event.tenant_id, Event.id)
            .where(
                Event.ends_at > now - LOOKED_BACK,
                Event.id.in_(select(EventStats.event_id)),
            )
            .order_by(Event.id)
        ).all()
    wrong = 0
    for tenant_id, event_id in events:
        with snapshot(database, tenant_id) as session:
            event = session.get(Event, event_id)
            off = differences(session, event) if event is not None else {}
        if event is not None and off:
            wrong += 1
            logger.warning("figures of event %s are off: %s", event.uid, off)
            with database.tenant_session(tenant_id) as session:
                facts.note(session, EventDataStale(event.uid))
                session.commit()
    return wrong
