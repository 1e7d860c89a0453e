"""What administrators do with an organisation's own channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.alerts.facts import AlertsWaiting
from meet2be.alerts.models import FORMS, AlertChannel, AlertDelivery
from meet2be.audit.services import Actor, record
from meet2be.db import tenant_of
from meet2be.db.columns import new_uid
from meet2be.errors import Meet2BeError
from meet2be.integrations.guarded_http import GuardedHttp
from meet2be.language import Message
from meet2be.notifications.models import SEVERITIES
from meet2be.webhooks.signing import new_secret
from meet2be.webhooks.vault import Vault

MOST_CHANNELS: Final = 10


class ChannelRefused(Meet2BeError):
    """A channel cannot be made as it was asked for."""


class UnknownChannel(Meet2BeError):
    """No channel of this organisation has that name."""

    def __init__(self, uid: str) -> None:
        self.uid = uid
        super().__init__(Message("There is no such channel (any more). Reload the page"))


@dataclass(frozen=True, slots=True)
class Made:
    """A new channel; ``secret`` signs its alerts and is shown once (None: Slack needs none)."""

    channel: AlertChannel
    secret: str | None


def channels(session: Session) -> list[AlertChannel]:
    """Return the organisation's channels, the oldest first."""
    return list(session.scalars(select(AlertChannel).order_by(AlertChannel.id)))


def add(
    session: Session,
    http: GuardedHttp,
    vault: Vault,
    name: str,
    form: str,
    url: str,
    severity: str,
    actor: Actor,
    user_id: int | None,
) -> Made:
    """Make a channel. The caller commits. Raises ``ChannelRefused`` and ``RefusedUrl``."""
    if form not in FORMS or severity not in SEVERITIES or not name.strip():
        raise ChannelRefused(Message("Give the channel a name, a form and what it shall hear"))
    if len(channels(session)) >= MOST_CHANNELS:
        raise ChannelRefused(
            Message(
                "There are %(number)s channels already. Remove one first",
                {
                    "number": MOST_CHANNELS,
                },
            )
        )
    http.check(url.strip())
    uid, secret = new_uid(), None if form == "slack" else new_secret()
    channel = AlertChannel(
        uid=uid,
        tenant_id=tenant_of(session),
        name=name.strip()[:120],
        form=form,
        url=vault.close(url.strip(), f"alert-url:{uid}"),
        secret=None if secret is None else vault.close(secret, f"alert-secret:{uid}"),
        severity=severity,
        created_by=user_id,
    )
    session.add(channel)
    session.flush()
    after = {"name": channel.name, "form": form, "severity": severity}
    record(session, actor, "alert_channel.added", "alert_channel", uid, after=after)
    return Made(channel, secret)


def switch(session: Session, uid: str, actor: Actor, *, is_on: bool) -> AlertChannel:
    """Switch a channel on or off. The caller commits. Raises ``UnknownChannel``."""
    channel = find(session, uid)
    channel.status, channel.fails_in_row = ("enabled" if is_on else "disabled"), 0
    after = {"status": channel.status}
    record(session, actor, "alert_channel.switched", "alert_channel", uid, after=after)
    return channel


def remove(session: Session, uid: str, actor: Actor) -> None:
    """Remove a channel with its log. The caller commits. Raises ``UnknownChannel``."""
    channel = find(session, uid)
    session.execute(
        delete(AlertDelivery)
        .where(AlertDelivery.channel_id == channel.id)
        .execution_options(synchronize_session=False)
    )
    session.delete(channel)
    before = {"name": channel.name}
    record(session, actor, "alert_channel.removed", "alert_channel", uid, before=before)


def try_out(session: Session, uid: str, title: str) -> None:
    """Send a trial through a channel. The caller commits. Raises ``UnknownChannel``."""
    channel = find(session, uid)
    delivery = AlertDelivery(
        channel_id=channel.id,
        dedupe_key=f"trial:{new_uid()}",
        kind="trial",
        severity="info",
        title=title[:200],
        body="",
    )
    session.add(delivery)
    session.flush()
    facts.note(session, AlertsWaiting(channel.tenant_id, (delivery.id,)))


def latest(session: Session, channel: AlertChannel, most: int = 5) -> list[AlertDelivery]:
    """Return the last alerts of a channel, the newest first."""
    of_it = select(AlertDelivery).where(AlertDelivery.channel_id == channel.id)
    return list(session.scalars(of_it.order_by(AlertDelivery.id.desc()).limit(most)))


def find(session: Session, uid: str) -> AlertChannel:
    """Return the organisation's channel; raises ``UnknownChannel``."""
    channel = session.scalar(select(AlertChannel).where(AlertChannel.uid == uid))
    if channel is None:
        raise UnknownChannel(uid)
    return channel
