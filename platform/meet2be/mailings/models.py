"""Tables of mails: outbox, log of attempts, what providers tell of them, addresses, templates."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from meet2be.db.base import (
    Base,
    MaybeTenantOwned,
    Named,
    Numbered,
    Stamped,
    TenantOwned,
    TenantOwnedOrShared,
    belongs_to,
    parent_key,
)
from meet2be.db.columns import Document, one_of

DELIVERIES = ("at_most_once", "at_least_once")
MAIL_STATUSES = (
    "held", "queued", "limited", "sending", "sent", "uncertain", "failed", "suppressed",
    "cancelled", "bounced", "complained",
)  # fmt: skip
MAIL_OUTCOMES = (
    "sent", "deferred", "limited", "failed", "suppressed", "bounced", "complained", "uncertain",
)  # fmt: skip
SUPPRESSION_REASONS = ("hard_bounce", "complaint", "manual", "unsubscribe")
SUPPRESSION_SCOPES = ("all", "non_transactional")
NEWS_TYPES = ("delivered", "soft_bounce", "hard_bounce", "complaint")

_TENANTS = text("tenant_id IS NOT NULL")
_PLATFORMS = text("tenant_id IS NULL")
_KNOWN = text("provider_id IS NOT NULL")
_TEXT = text("body_text IS NOT NULL")
_OF_EVENTS = text("event_id IS NOT NULL")
_OF_TENANTS = text("event_id IS NULL")


class Mail(Numbered, Named, MaybeTenantOwned, Stamped, Base):
    """A mail to one address, written in the commit of its cause and sent afterwards.

    `dedupe_key` names the cause: a second insert for the same cause is refused. An
    `at_most_once` mail whose lease ended while `sending` becomes `uncertain`.
    """

    __tablename__ = "mails"
    __table_args__ = (
        parent_key(),
        UniqueConstraint("dedupe_key"),
        UniqueConstraint("message_id"),
        Index(None, "status", "next_at", "priority"),
        Index(None, "tenant_id", "created_at", "id"),
        Index(None, "tenant_id", "status", "created_at", "id"),
        Index(None, "tenant_id", "kind", "status", "created_at", "id"),
        Index(None, "tenant_id", "related_type", "related_id"),
        Index(None, "tenant_id", "to_norm", "created_at", "id"),
        Index(None, "provider_id", sqlite_where=_KNOWN, postgresql_where=_KNOWN),
        Index(
            "ix_mails_created_at_text", "created_at",
            sqlite_where=_TEXT, postgresql_where=_TEXT,
        ),
        Index(
            "ix_mails_created_at_secret", "created_at",
            sqlite_where=text("body_text IS NOT NULL AND sensitive = 1"),
            postgresql_where=text("body_text IS NOT NULL AND sensitive"),
        ),
    )  # fmt: skip

    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    kind: Mapped[str] = mapped_column(String(64))
    template_key: Mapped[str | None] = mapped_column(String(64))
    template_version: Mapped[int | None]
    locale: Mapped[str] = mapped_column(String(16), default="en-GB")
    to_name: Mapped[str | None] = mapped_column(String(200))
    to_addr: Mapped[str] = mapped_column(String(320))
    to_norm: Mapped[str] = mapped_column(String(320))
    from_addr: Mapped[str | None] = mapped_column(String(520))
    reply_to: Mapped[str | None] = mapped_column(String(320))
    subject: Mapped[str | None] = mapped_column(Text)
    body_text: Mapped[str | None] = mapped_column(Text)
    body_html: Mapped[str | None] = mapped_column(Text)
    data: Mapped[Document | None]
    headers: Mapped[Document] = mapped_column(default=dict)
    attachments: Mapped[list[Any]] = mapped_column(default=list)
    sensitive: Mapped[bool] = mapped_column(default=False)
    priority: Mapped[int] = mapped_column(default=0)
    delivery: Mapped[str] = mapped_column(one_of("delivery", DELIVERIES), default="at_most_once")
    related_type: Mapped[str | None] = mapped_column(String(64))
    related_id: Mapped[int | None]
    dedupe_key: Mapped[str] = mapped_column(String(200))
    message_id: Mapped[str | None] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(one_of("status", MAIL_STATUSES), default="queued")
    attempts: Mapped[int] = mapped_column(default=0)
    releases: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime | None]
    lease_token: Mapped[str | None] = mapped_column(String(64))
    lease_until: Mapped[datetime | None]
    transport: Mapped[str | None] = mapped_column(String(64))
    provider_id: Mapped[str | None] = mapped_column(String(255))
    last_error: Mapped[str | None] = mapped_column(Text)
    queued_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]


class EmailLog(Numbered, MaybeTenantOwned, Base):
    """What came of one attempt to send a mail."""

    __tablename__ = "email_log"
    __table_args__ = (
        belongs_to("mails", "mail_id"),
        UniqueConstraint("mail_id", "n"),
        Index(None, "tenant_id", "at"),
    )

    mail_id: Mapped[int] = mapped_column(ForeignKey("mails.id"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    to_norm: Mapped[str] = mapped_column(String(320))
    n: Mapped[int]
    at: Mapped[datetime]
    outcome: Mapped[str] = mapped_column(one_of("outcome", MAIL_OUTCOMES))
    code: Mapped[str | None] = mapped_column(String(64))
    detail: Mapped[str | None] = mapped_column(Text)
    transport: Mapped[str | None] = mapped_column(String(64))


class MailSuppression(Numbered, TenantOwnedOrShared, Stamped, Base):
    """An address that gets no mail, of one tenant or, without a tenant, of the whole platform."""

    __tablename__ = "mail_suppressions"
    __table_args__ = (
        belongs_to("mails", "source_mail_id"),
        Index(None, "tenant_id", "id"),
        # NULLs are distinct in a unique key, so the platform's own rows need their own.
        Index(
            "uq_mail_suppressions_tenant", "tenant_id", "email_norm", "scope", unique=True,
            sqlite_where=_TENANTS, postgresql_where=_TENANTS,
        ),
        Index(
            "uq_mail_suppressions_platform", "email_norm", "scope", unique=True,
            sqlite_where=_PLATFORMS, postgresql_where=_PLATFORMS,
        ),
    )  # fmt: skip

    email_norm: Mapped[str] = mapped_column(String(320))
    reason: Mapped[str] = mapped_column(one_of("reason", SUPPRESSION_REASONS))
    scope: Mapped[str] = mapped_column(one_of("scope", SUPPRESSION_SCOPES), default="all")
    source_mail_id: Mapped[int | None]
    expires_at: Mapped[datetime | None]
    note: Mapped[str | None] = mapped_column(String(500))


class MailTemplate(Numbered, Named, TenantOwned, Stamped, Base):
    """One version of a tenant's own text of a mail, for all its events or for one.

    The newest active version is used; without `html` it is made from the text. Older versions stay:
    a mail names the one it was made with.
    """

    __tablename__ = "mail_templates"
    __table_args__ = (
        belongs_to("events", "event_id"),
        # NULLs are distinct in a unique key, so the tenant's own rows need their own.
        Index(
            "uq_mail_templates_event", "tenant_id", "event_id", "key", "locale", "version",
            unique=True, sqlite_where=_OF_EVENTS, postgresql_where=_OF_EVENTS,
        ),
        Index(
            "uq_mail_templates_tenant", "tenant_id", "key", "locale", "version",
            unique=True, sqlite_where=_OF_TENANTS, postgresql_where=_OF_TENANTS,
        ),
    )  # fmt: skip

    event_id: Mapped[int | None]
    key: Mapped[str] = mapped_column(String(64))
    locale: Mapped[str] = mapped_column(String(16))
    version: Mapped[int]
    subject: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    html: Mapped[str | None] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(default=True)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))


class MailNews(Numbered, MaybeTenantOwned, Stamped, Base):
    """What a mail provider told about one address of a mail; `key` is the provider's name of it.

    Without a tenant: the mail is not known here.
    """

    __tablename__ = "mail_news"
    __table_args__ = (
        UniqueConstraint("provider", "key", "email_norm"),
        belongs_to("mails", "mail_id"),
        Index(None, "tenant_id", "email_norm", "occurred_at"),
    )

    provider: Mapped[str] = mapped_column(String(24))
    key: Mapped[str] = mapped_column(String(200))
    type: Mapped[str] = mapped_column(one_of("type", NEWS_TYPES))
    email_norm: Mapped[str] = mapped_column(String(320))
    mail_id: Mapped[int | None]
    detail: Mapped[str | None] = mapped_column(String(500))
    occurred_at: Mapped[datetime]
    result: Mapped[str] = mapped_column(String(120))
