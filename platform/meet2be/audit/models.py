"""Table of the audit log."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from meet2be.db.base import Base, MaybeTenantOwned, Numbered
from meet2be.db.columns import Document, one_of

ACTOR_KINDS = ("user", "token", "job", "system", "operator")


class AuditEntry(Numbered, MaybeTenantOwned, Base):
    """One act. The database refuses to change or delete it."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index(None, "tenant_id", "id"),
        Index(None, "tenant_id", "at", "id"),
        Index(None, "tenant_id", "action", "actor_kind", "at", "id"),
        Index(None, "tenant_id", "actor_kind", "at", "id"),
        Index(None, "tenant_id", "actor_kind", "actor_id", "at", "id"),
        Index(None, "tenant_id", "object_id", "at", "id"),
        Index(None, "tenant_id", "object_type", "object_id", "id"),
    )

    at: Mapped[datetime]
    actor_kind: Mapped[str] = mapped_column(one_of("actor_kind", ACTOR_KINDS))
    actor_id: Mapped[str | None] = mapped_column(String(64))
    impersonator_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    # Searched for by its beginning: PostgreSQL finds those where letters stand by their codes.
    action: Mapped[str] = mapped_column(
        String(64).with_variant(String(64, collation="C"), "postgresql")
    )
    object_type: Mapped[str] = mapped_column(String(64))
    object_id: Mapped[str] = mapped_column(String(64))
    before: Mapped[Document | None]
    after: Mapped[Document | None]
    reason: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(String(64))
    job_id: Mapped[str | None] = mapped_column(String(64))
    ip: Mapped[str | None] = mapped_column(String(45))
    user_agent: Mapped[str | None] = mapped_column(String(400))
