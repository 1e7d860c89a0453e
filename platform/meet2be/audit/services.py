"""Writing to the audit log, in the transaction of what it tells about."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from meet2be.audit.models import AuditEntry
from meet2be.db import clock_of, reason_of, tenant_of


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: `kind` is one of `ACTOR_KINDS`, `id` a user's number or a job's name."""

    kind: str
    id: str | None = None
    impersonator_id: int | None = None
    ip: str | None = None
    user_agent: str | None = None


SYSTEM = Actor("system")
By = Actor | int | None
"""Who does something: an actor, a person's number where that is all that is known, or nobody."""


def actor_of(by: By) -> Actor:
    """Return the actor that a verb was given; nobody is the platform itself."""
    if isinstance(by, Actor):
        return by
    return SYSTEM if by is None else Actor("user", str(by))


def person_of(by: By) -> int | None:
    """Return the number of the person who acts, None for jobs and the platform."""
    if isinstance(by, Actor):
        is_person = by.kind in {"user", "operator"} and (by.id or "").isdecimal()
        return int(by.id or 0) if is_person else None
    return by


def count_since(session: Session, actions: Collection[str], since: datetime) -> int:
    """Return how often these were done after a moment, in the session's tenant."""
    wanted = select(func.count(AuditEntry.id)).where(
        AuditEntry.action.in_(actions), AuditEntry.at > since
    )
    return session.scalar(wanted) or 0


def record(
    session: Session,
    actor: Actor,
    action: str,
    object_type: str,
    object_id: object,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str | None = None,
    request_id: str | None = None,
    job_id: str | None = None,
    tenant_id: int | None = None,
) -> AuditEntry:
    """Add an entry to the session and return it; it is written with the caller's commit.

    In a tenant's session it is that tenant's; in a system session `tenant_id` says whose, and the
    session's own reason stands in when none is given. Secrets do not belong in `before`/`after`.
    """
    entry = AuditEntry(
        tenant_id=tenant_of(session) or tenant_id,
        at=clock_of(session).now(),
        actor_kind=actor.kind,
        actor_id=actor.id,
        impersonator_id=actor.impersonator_id,
        action=action,
        object_type=object_type,
        object_id=str(object_id),
        before=dict(before) if before is not None else None,
        after=dict(after) if after is not None else None,
        reason=reason or reason_of(session),
        request_id=request_id,
        job_id=job_id,
        ip=actor.ip,
        user_agent=actor.user_agent and actor.user_agent[:400],
    )
    session.add(entry)
    return entry
