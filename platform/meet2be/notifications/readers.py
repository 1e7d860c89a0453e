"""Who may be told of an organisation's things: members and operators who may log in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import column, select, table

from meet2be.tenancy.models import Membership

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.orm import Session

# By name: who keeps the people (meet2be.accounts) may write notices as well.
_PEOPLE = table("users", column("id"), column("status"), column("is_operator"), column("locale"))


def readers_of(session: Session, tenant_id: int, user_ids: Iterable[int]) -> dict[int, str]:
    """Return those of the people who may (still) be told, with the locale that each reads."""
    wanted = list(user_ids)
    members = set(
        session.scalars(
            select(Membership.user_id).where(
                Membership.tenant_id == tenant_id, Membership.user_id.in_(wanted)
            )
        )
    )
    people = session.connection().execute(select(_PEOPLE).where(_PEOPLE.c.id.in_(wanted)))
    return {
        person.id: person.locale
        for person in people
        if person.status == "active" and (person.id in members or person.is_operator)
    }
