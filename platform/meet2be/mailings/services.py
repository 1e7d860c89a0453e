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

from meet2be import db, facts
from meet2be.db import ForeignTenantError
from meet2be.db.columns import new_uid
from meet2be.language import Message
from meet2be.mailings import statements as sql
from meet2be.mailings.addresses import normal_form, one_address
from meet2be.mailings.attachments import Attachment
from meet2be.mailings.choosing import OwnTexts, own_texts_for
from meet2be.mailings.errors import BadTemplate
from meet2be.mailings.facts import MailPosted
from meet2be.mailings.kinds import kind_of
from meet2be.mailings.limits import person_key
from meet2be.mailings.models import Mail
from meet2be.mailings.own_texts import fill_in
from meet2be.mailings.rendering import Rendered, render
from meet2be.notifications.services import Notice, notify_admins

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection
    from sqlalchemy.orm import Session

AT_MOST_ONCE, AT_LEAST_ONCE = "at_most_once", "at_least_once"
NOT_A_MEMBER = "an event in test mode writes to members of its organisation only"
TEST_MARK = "[TEST] "
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

    ``personal`` names what of ``context`` only this mail bears; see ``rendering.render``. A mail of
    an event is written in that event's own words, if it has any; in ``test_mode`` only members of
    the organisation get it.
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
    event_id: int | None = None
    test_mode: bool = False
    texts: Rendered | None = None
    """Its finished texts, where no template makes them."""
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one draft; ``is_new`` is false for a repeat.

    ``queued``, ``suppressed``, or ``failed`` when the organisation's own text lacks a value.
    """

    mail_id: int
    dedupe_key: str
    status: str
    is_new: bool


def enqueue(session: Session, draft: MailDraft, now: datetime) -> Written:
    """Write one draft; see :func:`enqueue_many`."""
    return enqueue_many(session, [draft], now)[0]


def post(session: Session, draft: MailDraft, now: datetime) -> Written:
    """Write one mail to one person and have it sent, within that person's limit an hour.

    Security mails are counted but do not wait. The caller commits. Raises ``UnknownTemplate``, and
    ``BadAddress`` for what is not one address.
    """
    one_address(draft.to_addr)
    written = enqueue(session, draft, now)
    if written.is_new and written.status == "queued":
        to_norm = normalise(draft.to_addr)
        note_posted(session, written.mail_id, draft.tenant_id, draft.user_id, to_norm, draft.kind)
    return written


def note_posted(
    session: Session,
    mail_id: int,
    tenant_id: int | None,
    user_id: int | None,
    to_norm: str,
    kind: str,
) -> None:
    """Have a mail that stands in the outbox sent by a job of its own, in this commit."""
    person, is_urgent = person_key(tenant_id, user_id, to_norm), kind_of(kind).is_security
    facts.note(session, MailPosted(mail_id, person, is_urgent, tenant_id, kind))


def sender_of(tenant: Any, fallback: Sender) -> Sender:
    """Return the tenant's own sender if it was verified, else the platform's in its name."""
    name = tenant.sender_name or getattr(tenant, "tenant_name", None) or tenant.name
    if tenant.sender_email and tenant.sender_verified_at is not None:
        return Sender(name, tenant.sender_email, tenant.reply_to)
    return Sender(f"{name} (via {fallback.name})", fallback.address, tenant.reply_to)


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
    blocked = _blocked(connection, tenant, list(wanted.values()), now)
    own = own_texts_for(connection, tenant, {draft.template for draft in wanted.values()})
    new = _insert(connection, [_row(draft, blocked, own, now) for draft in wanted.values()])
    broken = {key: wanted[key] for key, row in new.items() if row[2] == "failed"}
    if broken and tenant is not None:
        _tell_of_broken_texts(session, tenant, broken.values(), now)
    written = new | _already_written(session, [key for key in wanted if key not in new])
    return [Written(*written[draft.dedupe_key], is_new=draft.dedupe_key in new) for draft in drafts]


def _tell_of_broken_texts(
    session: Session, tenant: int, drafts: Iterable[MailDraft], now: datetime
) -> None:
    """Tell the admins, once a day for each kind of mail: people are waiting for these."""
    for template in sorted({draft.template for draft in drafts}):
        notice = Notice(
            kind="mail.failed",
            severity="error",
            title=Message("Mails cannot be made from your text"),
            body=Message(
                "Your text for '%(mail)s' asks for a value that some mails do not have. They are "
                "not sent: their pages say which value it is.",
                {"mail": Message(kind_of(template).words)},
            ),
            link=f"/mail?state=failed&kind={template}",
            dedupe_key=f"mail-text:{template}:{now:%Y-%m-%d}",
        )
        notify_admins(session, tenant, notice, now)


def normalise(address: str) -> str:
    """Return the form of ``address`` that suppressions and look-ups compare."""
    return normal_form(address)


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


@dataclass(frozen=True, slots=True)
class _Blocked:
    """Addresses that get nothing, no news, or (of the members) a test event's mail."""

    all: set[str]
    news: set[str]
    members: set[str]

    def why(self, draft: MailDraft, to_norm: str) -> str | None:
        """Return why a draft is not sent, None when it is."""
        if to_norm in self.all:
            return "the address is suppressed"
        if to_norm in self.news and not kind_of(draft.kind).is_transactional:
            return "the reader does not want such mails"
        return NOT_A_MEMBER if draft.test_mode and to_norm not in self.members else None


def _blocked(
    connection: Connection, tenant: int | None, drafts: Sequence[MailDraft], now: datetime
) -> _Blocked:
    """Ask for what the drafts need: most are neither news nor of a test event."""
    addresses = sorted({normalise(draft.to_addr) for draft in drafts})
    values = {"tenant": tenant, "addresses": addresses, "now": now}
    news, members = set(), set()
    if not all(kind_of(draft.kind).is_transactional for draft in drafts):
        news = set(connection.execute(sql.UNSUBSCRIBED, values).scalars())
    if any(draft.test_mode for draft in drafts):
        members = set(connection.execute(sql.MEMBERS_AMONG, values).scalars())
    return _Blocked(set(connection.execute(sql.SUPPRESSED, values).scalars()), news, members)


@lru_cache(maxsize=1024)
def _written_out(sender: Sender) -> str:
    return formataddr((sender.name, sender.address))


def _texts(draft: MailDraft, own: OwnTexts) -> tuple[Rendered, int, str | None]:
    """Return a mail's texts, their version (0: the platform's), and what is wrong with them."""
    if draft.texts is not None:
        return draft.texts, 0, None
    chosen = own.best(draft.template, draft.event_id, draft.locale) if own else None
    if chosen is None:
        return render(draft.template, draft.locale, draft.context, draft.personal), 0, None
    try:
        return fill_in(chosen.text, draft.context, chosen.locale), chosen.version, None
    except BadTemplate as error:
        return Rendered("", "", ""), chosen.version, str(error)


def _row(draft: MailDraft, blocked: _Blocked, own: OwnTexts, now: datetime) -> dict[str, Any]:
    uid = new_uid()
    to_norm = normalise(draft.to_addr)
    texts, version, problem = _texts(draft, own)
    why_not = blocked.why(draft, to_norm)
    status = "suppressed" if why_not else "failed" if problem else "queued"
    return {
        "uid": uid,
        "tenant_id": draft.tenant_id,
        "user_id": draft.user_id,
        "kind": draft.kind,
        "template_key": draft.template,
        "template_version": version,
        "locale": draft.locale,
        "to_addr": draft.to_addr,
        "to_norm": to_norm,
        "from_addr": _written_out(draft.sender),
        "reply_to": draft.sender.reply_to,
        "subject": TEST_MARK + texts.subject if draft.test_mode else texts.subject,
        "body_text": texts.text,
        "body_html": texts.html,
        "headers": dict(draft.headers),
        "attachments": [each.row() for each in draft.attachments],
        "sensitive": draft.sensitive,
        "priority": draft.priority,
        "delivery": AT_MOST_ONCE if kind_of(draft.kind).is_at_most_once else AT_LEAST_ONCE,
        "related_type": draft.related_type,
        "related_id": draft.related_id,
        "dedupe_key": draft.dedupe_key,
        "message_id": f"<{uid}@{draft.sender.domain}>",
        "status": status,
        "last_error": why_not or problem,
        "queued_at": now,
    }
