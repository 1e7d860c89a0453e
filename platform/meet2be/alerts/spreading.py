"""From notices in the page to mails and alerts: to whom, and where, each once.

A job does this after the notice's own commit: a text that cannot be made, or a mail server that is
away, must not hold up what the notice tells of.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.accounts.models import User
from meet2be.alerts.facts import AlertsWaiting
from meet2be.alerts.models import AlertChannel, AlertDelivery
from meet2be.db import Database
from meet2be.mailings.errors import BadAddress
from meet2be.mailings.services import PRIORITY_NORMAL, MailDraft, Sender, normalise, post, sender_of
from meet2be.mailings.unsubscribing import Leaving, headers
from meet2be.notifications.models import SEVERITIES, Notification
from meet2be.notifications.preferences import listeners
from meet2be.notifications.readers import readers_of
from meet2be.tenancy.models import Tenant

LONGEST_BODY: Final = 3_000


def spread_tx(
    database: Database,
    tenant_id: int,
    dedupe_key: str,
    *,
    base_url: str,
    app_key: str,
    fallback: Sender,
) -> None:
    """Write the mails and alerts of one notice; what is there already is not written again."""
    now = database.clock.now()
    with database.tenant_session(tenant_id) as session:
        notices = session.scalars(
            select(Notification)
            .where(Notification.dedupe_key == dedupe_key)
            .order_by(Notification.id)
        ).all()
        if not notices:
            return
        tenant = session.scalars(select(Tenant)).one()
        sender = sender_of(tenant, fallback)
        # Asked again: somebody may have been removed since the notice was written.
        readers = readers_of(session, tenant_id, [each.user_id for each in notices])
        wanted = listeners(session, readers, notices[0].kind, "mail")
        people = {
            user.id: user for user in session.scalars(select(User).where(User.id.in_(wanted)))
        }
        for notice in notices:
            if notice.user_id in people:
                user = people[notice.user_id]
                leaving = headers(base_url, app_key, Leaving(tenant_id, normalise(user.email)))
                _mail(session, tenant, notice, user, sender, base_url, leaving, now)
        _alert(session, tenant_id, notices[0], base_url)
        session.commit()


def _mail(
    session: Session,
    tenant: Tenant,
    notice: Notification,
    user: User,
    sender: Sender,
    base_url: str,
    leaving: dict[str, str],
    now: datetime,
) -> None:
    draft = MailDraft(
        tenant_id=tenant.id,
        kind="notice",
        template="notice",
        locale=user.locale,
        to_addr=user.email,
        dedupe_key=f"notice:{notice.uid}",
        context={
            "name": user.name,
            "title": notice.title,
            "body": notice.body,
            "link": _absolute(base_url, notice.link),
            "tenant_name": tenant.name,
        },
        sender=sender,
        user_id=user.id,
        priority=PRIORITY_NORMAL,
        related_type="notification",
        related_id=notice.id,
        headers=leaving,
    )
    try:
        post(session, draft, now)
    except BadAddress:
        return  # the notice itself stands in the page


def _alert(session: Session, tenant_id: int, notice: Notification, base_url: str) -> None:
    channels = session.scalars(
        select(AlertChannel).where(AlertChannel.status == "enabled").order_by(AlertChannel.id)
    ).all()
    loud = [
        channel
        for channel in channels
        if SEVERITIES.index(notice.severity) >= SEVERITIES.index(channel.severity)
    ]
    known = set(
        session.scalars(
            select(AlertDelivery.channel_id).where(
                AlertDelivery.channel_id.in_([channel.id for channel in loud]),
                AlertDelivery.dedupe_key == notice.dedupe_key,
            )
        )
    )
    new = [
        AlertDelivery(
            channel_id=channel.id,
            dedupe_key=notice.dedupe_key,
            kind=notice.kind,
            severity=notice.severity,
            title=notice.title,
            body=notice.body[:LONGEST_BODY],
            link=_absolute(base_url, notice.link) or None,
        )
        for channel in loud
        if channel.id not in known
    ]
    session.add_all(new)
    session.flush()
    if new:
        facts.note(session, AlertsWaiting(tenant_id, tuple(each.id for each in new)))


def _absolute(base_url: str, link: str | None) -> str:
    """Return a link of our pages as it works in a mail; anything else is left out."""
    return f"{base_url}{link}" if link and link.startswith("/") and link[1:2] != "/" else ""
