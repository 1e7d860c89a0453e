"""Which rules the rows of an import go by, and whether it may go on at all."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.accounts.models import User
from meet2be.attendees.errors import EventClosedError
from meet2be.attendees.row_parsing import Expected
from meet2be.attendees.services import check_open
from meet2be.attendees.writing import Target
from meet2be.events.models import Event
from meet2be.imports.attendee_rows import AttendeeOptions, AttendeeRows
from meet2be.imports.errors import ImportStopped, message_of
from meet2be.imports.models import Import
from meet2be.imports.outcomes import Rows
from meet2be.imports.people_rows import RANKS, Importer, PeopleRows
from meet2be.imports.queries import remembered
from meet2be.language import Message
from meet2be.payments.provider import OUTSIDE
from meet2be.tenancy.models import Membership, Tenant

SUSPENDED = Message("The organisation is suspended. What was imported stays; the rest waits.")
UNDO_SUSPENDED = Message(
    "The organisation is suspended. What was taken back stays so; the rest waits."
)
NEEDED_RANK = {"attendees": RANKS["organiser"], "users": RANKS["admin"]}


def rows_of(session: Session, found: Import, *, lock: bool = False, is_undo: bool = False) -> Rows:
    """Return what to do with the import's rows; raises ImportStopped when nothing may be done.

    With ``lock`` the event stays as it is until the commit. To undo, nobody asks for the role of
    whoever began it, nor whether the event still takes people.
    """
    tenant = session.scalars(select(Tenant)).one()
    if tenant.status != "active":
        raise ImportStopped(UNDO_SUSPENDED if is_undo else SUSPENDED)
    importer = Importer(found.uploaded_by, None) if is_undo else importer_of(session, found)
    mapping, options = remembered(found.mapping), found.options
    duplicates = str(options.get("duplicates", "skip"))
    if found.kind == "users":
        return PeopleRows(tenant.id, tenant.locale, mapping, duplicates, importer)
    event = session.get(Event, found.event_id, with_for_update=lock)
    if event is None:
        raise ImportStopped(Message("The event is gone."))
    if not is_undo:
        _check_open(event)
    return AttendeeRows(
        found.uid,
        mapping,
        AttendeeOptions(duplicates, bool(options.get("shared", False))),
        # Whoever took such a list's money, it was not our provider: nothing there has its name.
        Target(tenant.id, tenant.slug, event.id, event.currency, event.test_mode, OUTSIDE),
        Expected(event.currency, tenant.locale),
        event.timezone,
    )


def _check_open(event: Event) -> None:
    try:
        check_open(event)
    except EventClosedError as error:
        raise ImportStopped(message_of(error)) from error


def importer_of(session: Session, found: Import) -> Importer:
    """Return who imports, with the role they have now; raises ImportStopped when they may not."""
    user = session.get(User, found.uploaded_by) if found.uploaded_by is not None else None
    role = session.scalar(select(Membership.role).where(Membership.user_id == found.uploaded_by))
    if user is not None and role is None and user.is_operator:
        return Importer(user.id, None)
    if user is None or user.status != "active" or role is None:
        raise ImportStopped(
            Message("Whoever began this import is no member of the organisation any more.")
        )
    if RANKS[role] < NEEDED_RANK[found.kind]:
        raise ImportStopped(
            Message("Whoever began this import may not import any more: their role has changed.")
        )
    return Importer(user.id, role)
