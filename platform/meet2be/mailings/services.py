"""Writing mail into the outbox, in the transaction of its cause.

A mail exists because something happened; it is inserted with that, in one commit, under a key that
makes the same cause write it once. Whether it may be sent at all (an address is known, nobody asked
us to stop) is decided here too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from email.utils import formataddr
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from meet2be import db
from meet2be.db import ForeignTenantError
from meet2be.db.columns import new_uid
from meet2be.mailings import statements as sql
from meet2be.mailings.models import Mail
from meet2be.mailings.rendering import Rendered, render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection
    from sqlalchemy.orm import Session

AT_MOST_ONCE = "at_most_once"
PRIORITY_SECURITY, PRIORITY_NORMAL, PRIORITY_BULK = 10, 50, 90


@dataclass(frozen=True, slots=True)
class Sender:
    """From whom a mail comes and where an answer goes."""

    name: str
    address: str
    reply_to: str | None = None

    @property
    def domain(self) -> str:
        """The part behind the ``@``, which Message-IDs are made of."""
        return self.address.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class MailDraft:
    """A mail to be written; a second draft with the same ``dedupe_key`` writes nothing, ever.

    ``personal`` names what of ``context`` only this mail bears; see ``rendering.render``.
    """

    tenant_id: int | None
    kind: str
    template: str
    locale: str
    to_addr: str
    dedupe_key: str
    context: Mapping[str, Any]
    sender: Sender
    user_id: int | None = None
    priority: int = PRIORITY_NORMAL
    related_type: str | None = None
    related_id: int | None = None
    sensitive: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    personal: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one draft: ``queued`` or ``suppressed``; ``is_new`` is false for a repeat."""

    mail_id: int
    dedupe_key: str
    status: str
    is_new: bool


def enqueue(session: Session, draft: MailDraft, now: datetime) -> Written:
    """Write one draft; see :func:`enqueue_many`."""
    return enqueue_many(session, [draft], now)[0]


def enqueue_many(session: Session, drafts: Sequence[MailDraft], now: datetime) -> list[Written]:
    """Write ``drafts`` into the outbox and return what became of each, in their order.

    The caller commits, and dispatches ``SendMails`` for those that are ``queued`` and new. All
    drafts of one call are of the session's tenant. Raises ``UnknownTemplate``.
    """
    if not drafts:
        return []
    session.flush()  # what follows goes past the session, and shall see what it holds
    tenant, connection = _tenant_of(session, drafts), session.connection()
    wanted = {draft.dedupe_key: draft for draft in drafts}
    addresses = {normalise(draft.to_addr) for draft in wanted.values()}
    blocked = _suppressed(connection, tenant, addresses, now)
    new = _insert(connection, [_row(draft, blocked, now) for draft in wanted.values()])
    written = new | _already_written(session, [key for key in wanted if key not in new])
    return [Written(*written[draft.dedupe_key], is_new=draft.dedupe_key in new) for draft in drafts]


def normalise(address: str) -> str:
    """Return the form of ``address`` that suppressions and look-ups compare."""
    return address.strip().casefold()


def _tenant_of(session: Session, drafts: Sequence[MailDraft]) -> int | None:
    """Return whose mail it is; what follows runs past the session's guard, so it is checked."""
    tenant = db.tenant_of(session)
    if tenant is None:  # the platform's own session, which writes for one tenant at a time
        tenant = drafts[0].tenant_id
    for draft in drafts:
        if draft.tenant_id != tenant:
            table = Mail.__tablename__
            raise ForeignTenantError(table, row_tenant=draft.tenant_id, session_tenant=tenant)
    return tenant


def _insert(
    connection: Connection, rows: Sequence[dict[str, Any]]
) -> dict[str, tuple[int, str, str]]:
    """Insert what is not there yet and return that, by its key.

    The database looks for repeats. Asked for them beforehand, SQLite would go through all of the
    tenant's mails: without statistics it takes the index on the tenant for the better one.
    """
    insert = sql.INSERT_UNSEEN[connection.dialect.name]
    return {found.dedupe_key: tuple(found) for found in connection.execute(insert, rows)}


def _already_written(session: Session, keys: Sequence[str]) -> dict[str, tuple[int, str, str]]:
    if not keys:
        return {}
    found = session.execute(
        select(Mail.id, Mail.dedupe_key, Mail.status).where(Mail.dedupe_key.in_(keys))
    )
    return {key: (mail_id, key, status) for mail_id, key, status in found}


def _suppressed(
    connection: Connection, tenant: int | None, addresses: set[str], now: datetime
) -> set[str]:
    values = {"tenant": tenant, "addresses": sorted(addresses), "now": now}
    return set(connection.execute(sql.SUPPRESSED, values).scalars())


@lru_cache(maxsize=1024)
def _written_out(sender: Sender) -> str:
    return formataddr((sender.name, sender.address))


def _row(draft: MailDraft, blocked: set[str], now: datetime) -> dict[str, Any]:
    uid = new_uid()
    to_norm = normalise(draft.to_addr)
    texts: Rendered = render(draft.template, draft.locale, draft.context, draft.personal)
    return {
        "uid": uid,
        "tenant_id": draft.tenant_id,
        "user_id": draft.user_id,
        "kind": draft.kind,
        "template_key": draft.template,
        "template_version": 1,
        "locale": draft.locale,
        "to_addr": draft.to_addr,
        "to_norm": to_norm,
        "from_addr": _written_out(draft.sender),
        "reply_to": draft.sender.reply_to,
        "subject": texts.subject,
        "body_text": texts.text,
        "body_html": texts.html,
        "headers": dict(draft.headers),
        "sensitive": draft.sensitive,
        "priority": draft.priority,
        "delivery": AT_MOST_ONCE,
        "related_type": draft.related_type,
        "related_id": draft.related_id,
        "dedupe_key": draft.dedupe_key,
        "message_id": f"<{uid}@{draft.sender.domain}>",
        "status": "suppressed" if to_norm in blocked else "queued",
        "queued_at": now,
    }
