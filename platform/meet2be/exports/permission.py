"""Whether somebody may have attendees in a file: asked at the wish, by the worker, at the click."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import column, select, table
from sqlalchemy.orm import Session

from meet2be.exports.errors import ExportNotPossible
from meet2be.language import N_, Message
from meet2be.tenancy.models import Membership, Tenant

ROLES: Final = ("owner", "admin", "organiser")
HELD: Final = "tenant_suspended"
"""The code of an export that waits for its organisation to be active again."""
# By name: only meet2be.accounts reads people's own tables.
_PEOPLE = table("users", column("id"), column("status"), column("is_operator"), column("locale"))


def check_may_export(session: Session, user_id: int) -> None:
    """Raise ``ExportNotPossible`` when the organisation or the person may not export (now)."""
    tenant = session.scalars(select(Tenant)).one()
    if tenant.status != "active":
        raise ExportNotPossible(
            HELD,
            Message(N_("Your organisation is suspended, so no file can be made or fetched.")),
        )
    check_person(session, user_id)


def check_person(session: Session, user_id: int) -> None:
    """Raise ``ExportNotPossible`` when the person may not export (any more)."""
    if user_id not in who_may_export(session, [user_id]):
        raise ExportNotPossible(
            "not_allowed",
            Message(N_("Whoever asked for this export may not export attendees any more.")),
        )


def is_held(session: Session) -> bool:
    """Tell whether exports of the session's organisation wait because it is suspended.

    That stays so until the commit: whoever lifts the suspension sees the export as it is then. Ask
    before an export is locked, as lifting locks the organisation first.
    """
    status = session.scalars(select(Tenant.status).with_for_update(read=True)).one()
    return status == "suspended"


def who_may_export(session: Session, user_ids: Iterable[int]) -> frozenset[int]:
    """Return those of the people who may export attendees of the session's organisation."""
    wanted = list(user_ids)
    members = set(
        session.scalars(
            select(Membership.user_id).where(
                Membership.user_id.in_(wanted), Membership.role.in_(ROLES)
            )
        )
    )
    people = session.connection().execute(select(_PEOPLE).where(_PEOPLE.c.id.in_(wanted)))
    return frozenset(
        person.id
        for person in people
        if person.status == "active" and (person.id in members or person.is_operator)
    )


def locale_of(session: Session, user_id: int) -> str:
    """Return the locale that a person reads."""
    found = session.connection().execute(select(_PEOPLE.c.locale).where(_PEOPLE.c.id == user_id))
    return str(found.scalar_one_or_none() or "en")
