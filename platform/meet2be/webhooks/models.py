"""Tables of webhooks: endpoints and their secrets, what is announced, deliveries and attempts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CHAR, ForeignKey, Index, String, Text, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from meet2be.db.base import (
    Base,
    Named,
    Numbered,
    Stamped,
    TenantOwned,
    belongs_to,
    parent_key,
)
from meet2be.db.columns import Document, one_of

ENDPOINT_STATUSES = (
    "enabled", "paused", "disabled_gone", "disabled_failing", "disabled_admin", "deleted",
)  # fmt: skip
DELIVERY_STATUSES = (
    "pending", "held", "waiting", "sending", "succeeded", "failed", "cancelled",
)  # fmt: skip
ON_ITS_WAY = ("pending", "held", "waiting", "sending")
"""Deliveries that are not settled yet; of two with the same address and body one is enough."""
ATTEMPT_OUTCOMES = ("succeeded", "again", "failed")
LONGEST_URL = 2000

IS_ON_ITS_WAY = text("status IN ('pending', 'held', 'waiting', 'sending')")


class WebhookEndpoint(Numbered, Named, TenantOwned, Stamped, Base):
    """An address of a tenant's own that is told what happens.

    `recent` holds how the last attempts ended, a letter each (`s`, `f`), the newest at the end.
    `custom_headers` is encrypted. `signs_ed25519`: signed with a key pair beside the secret;
    `full_data`: bodies bear the whole object. A deleted endpoint stays, without its secrets, for
    its log.
    """

    __tablename__ = "webhook_endpoints"
    __table_args__ = (parent_key(), Index(None, "tenant_id", "status", "id"))

    url: Mapped[str] = mapped_column(String(LONGEST_URL))
    description: Mapped[str] = mapped_column(String(500), default="")
    event_types: Mapped[list[Any]] = mapped_column(default=list)
    all_types: Mapped[bool] = mapped_column(default=False)
    all_events: Mapped[bool] = mapped_column(default=True)
    status: Mapped[str] = mapped_column(one_of("status", ENDPOINT_STATUSES), default="enabled")
    retry_refusals: Mapped[bool] = mapped_column(default=False)
    jitter: Mapped[bool] = mapped_column(default=False)
    signs_ed25519: Mapped[bool] = mapped_column(default=False, server_default=false())
    full_data: Mapped[bool] = mapped_column(default=False, server_default=false())
    custom_headers: Mapped[str | None] = mapped_column(Text)
    recent: Mapped[str] = mapped_column(String(100), default="")
    fails_in_row: Mapped[int] = mapped_column(default=0)
    failing_since: Mapped[datetime | None]
    warned_at: Mapped[datetime | None]
    last_success_at: Mapped[datetime | None]
    last_failure_at: Mapped[datetime | None]
    last_failure: Mapped[str | None] = mapped_column(String(500))
    enabled_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]
    created_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))


class WebhookEndpointEvent(TenantOwned, Base):
    """A conference whose announcements an endpoint gets, when it does not get those of all."""

    __tablename__ = "webhook_endpoint_events"
    __table_args__ = (
        belongs_to("webhook_endpoints", "endpoint_id"),
        belongs_to("events", "event_id"),
    )

    endpoint_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class WebhookSecret(Numbered, Named, TenantOwned, Stamped, Base):
    """A key that signs deliveries, encrypted; it retires after another has taken its place.

    With a `public_key` it is the private half of a pair (``v1a``), else a secret (``v1``).
    """

    __tablename__ = "webhook_secrets"
    __table_args__ = (
        belongs_to("webhook_endpoints", "endpoint_id"),
        Index(None, "tenant_id", "endpoint_id", "id"),
    )

    endpoint_id: Mapped[int]
    secret_enc: Mapped[str | None] = mapped_column(Text)
    public_key: Mapped[str | None] = mapped_column(String(64))
    retires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class WebhookEvent(Numbered, Named, TenantOwned, Base):
    """Something that happened and was announced; `dedupe_key` names its cause."""

    __tablename__ = "webhook_events"
    __table_args__ = (
        parent_key(),
        belongs_to("events", "event_id"),
        UniqueConstraint("tenant_id", "dedupe_key"),
        Index(None, "tenant_id", "occurred_at", "id"),
    )

    type: Mapped[str] = mapped_column(String(64))
    event_id: Mapped[int | None]
    subject_type: Mapped[str] = mapped_column(String(64))
    subject_uid: Mapped[str] = mapped_column(String(64))
    data: Mapped[Document] = mapped_column(default=dict)
    depth: Mapped[int] = mapped_column(default=0)
    occurred_at: Mapped[datetime]
    dedupe_key: Mapped[str] = mapped_column(String(200))


class WebhookDelivery(Numbered, Named, TenantOwned, Stamped, Base):
    """One announcement on its way to one endpoint; `body` is what is signed and sent.

    `replay_no` is 0 for the first one and counts those that somebody asked for again. `has_object`:
    the body bears a whole object, which not everybody may read.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        parent_key(),
        belongs_to("webhook_endpoints", "endpoint_id"),
        belongs_to("webhook_events", "webhook_event_id"),
        UniqueConstraint("endpoint_id", "webhook_event_id", "replay_no"),
        Index(
            "uq_webhook_deliveries_on_its_way", "tenant_id", "unique_key", unique=True,
            sqlite_where=IS_ON_ITS_WAY, postgresql_where=IS_ON_ITS_WAY,
        ),
        Index(None, "tenant_id", "created_at", "id"),
        Index(None, "tenant_id", "status", "created_at", "id"),
        Index(
            "ix_webhook_deliveries_of_endpoint", "tenant_id", "endpoint_id", "status",
            "created_at", "id",
        ),
        Index(None, "tenant_id", "type", "created_at", "id"),
        Index(None, "endpoint_id", "status", "id"),
        Index(None, "tenant_id", "webhook_event_id"),
        Index(
            "ix_webhook_deliveries_with_object", "tenant_id", "status", "endpoint_id", "type",
            "created_at",
            sqlite_where=text("has_object IS NOT 0"),
            postgresql_where=text("has_object IS NOT false"),
        ),
    )  # fmt: skip

    endpoint_id: Mapped[int]
    webhook_event_id: Mapped[int]
    type: Mapped[str] = mapped_column(String(64))
    replay_no: Mapped[int] = mapped_column(default=0)
    is_test: Mapped[bool] = mapped_column(default=False)
    url_at_creation: Mapped[str] = mapped_column(String(LONGEST_URL))
    body: Mapped[str] = mapped_column(Text)
    has_object: Mapped[bool | None]
    unique_key: Mapped[str] = mapped_column(CHAR(32))
    status: Mapped[str] = mapped_column(one_of("status", DELIVERY_STATUSES), default="pending")
    attempts: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    final_reason: Mapped[str | None] = mapped_column(String(500))
    created_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))


class WebhookAttempt(Numbered, TenantOwned, Base):
    """One request to an endpoint and what came of it; secrets are taken out of what it keeps."""

    __tablename__ = "webhook_attempts"
    __table_args__ = (
        belongs_to("webhook_deliveries", "delivery_id"),
        UniqueConstraint("delivery_id", "n"),
        Index(None, "started_at", "id"),
        Index(None, "tenant_id", "delivery_id"),
    )

    delivery_id: Mapped[int]
    n: Mapped[int]
    started_at: Mapped[datetime]
    duration_ms: Mapped[int]
    url: Mapped[str] = mapped_column(String(LONGEST_URL))
    address: Mapped[str | None] = mapped_column(String(64))
    request_headers: Mapped[Document] = mapped_column(default=dict)
    status_code: Mapped[int | None]
    headers: Mapped[Document] = mapped_column(default=dict)
    body_excerpt: Mapped[str] = mapped_column(Text, default="")
    truncated: Mapped[bool] = mapped_column(default=False)
    outcome: Mapped[str] = mapped_column(one_of("outcome", ATTEMPT_OUTCOMES))
    error_class: Mapped[str | None] = mapped_column(String(64))
    error_text: Mapped[str | None] = mapped_column(String(500))
    retry_at: Mapped[datetime | None]
    secret_ids: Mapped[list[Any]] = mapped_column(default=list)
