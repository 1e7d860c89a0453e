"""What the outbox needs from time to time, whatever its jobs do."""

from __future__ import annotations

from sqlalchemy import select

from meet2be.mailings.courier import erase_old_bodies, release_held
from meet2be.mailings.delivery import MailDeliveries, expire_lost_claims
from meet2be.mailings.models import Mail
from meet2be.tenancy.models import Tenant

A_TIME = 1_000


def tidy_tx(deliveries: MailDeliveries) -> None:
    """End lost claims, queue held mails of active organisations, erase texts after 90 days."""
    database, now = deliveries.database, deliveries.clock.now()
    with database.system_session("end claims of mails whose sender died") as session:
        while expire_lost_claims(session, deliveries.recorder, now, A_TIME) == A_TIME:
            session.commit()
        session.commit()
    with database.system_session(
        "send the mails of organisations that are active again"
    ) as session:
        held = select(Mail.tenant_id).where(Mail.status == "held").distinct()
        active = select(Tenant).where(Tenant.id.in_(held), Tenant.status == "active")
        for tenant in session.scalars(active).all():
            release_held(session, tenant)
        session.commit()
    with database.system_session("erase the texts of old mails") as session:
        while erase_old_bodies(session, now, A_TIME) == A_TIME:
            session.commit()
        session.commit()
