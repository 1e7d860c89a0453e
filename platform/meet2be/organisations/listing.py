"""Organisations as the operators' pages show them; in system sessions."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from meet2be.cancellations.models import CancelRun
from meet2be.db.keyset import Order, Page, Slice, fetch_page
from meet2be.mailings.models import Mail
from meet2be.tenancy.models import Membership, Tenant

NEWEST_FIRST = Order((Tenant.id,), descending=True)


@dataclass(frozen=True, slots=True)
class TenantFilter:
    """Which organisations are wanted; empty strings leave all in."""

    words: str = ""
    status: str = ""


def tenants_page(session: Session, wanted: TenantFilter, part: Slice) -> Page:
    """Return a page of all organisations, the newest first."""
    statement = select(Tenant)
    if wanted.words:
        statement = statement.where(
            Tenant.name.icontains(wanted.words, autoescape=True)
            | Tenant.slug.startswith(wanted.words.lower(), autoescape=True)
        )
    if wanted.status:
        statement = statement.where(Tenant.status == wanted.status)
    return fetch_page(session, statement, NEWEST_FIRST, part)


def position_of(session: Session, uid: str) -> tuple[int] | None:
    """Return where an organisation stands in the list."""
    found = find(session, uid)
    return None if found is None else (found.id,)


def find(session: Session, uid: str) -> Tenant | None:
    """Return the organisation of that name."""
    return session.scalar(select(Tenant).where(Tenant.uid == uid))


def members_of(session: Session, tenants: Collection[int]) -> dict[int, int]:
    """Return how many members organisations have, by their numbers."""
    counted = (
        select(Membership.tenant_id, func.count(Membership.id))
        .where(Membership.tenant_id.in_(tenants))
        .group_by(Membership.tenant_id)
    )
    return {number: count for number, count in session.execute(counted)}  # noqa: C416 - rows are no plain tuples to mypy


def stopped_work(session: Session) -> dict[str, int]:
    """Return what waits for the end of a suspension, in the tenant's session."""
    runs = select(func.count(CancelRun.id)).where(
        CancelRun.state == "paused", CancelRun.pause_code == "tenant_suspended"
    )
    mails = select(func.count(Mail.id)).where(Mail.status == "held")
    return {"runs": session.scalar(runs) or 0, "mails": session.scalar(mails) or 0}
