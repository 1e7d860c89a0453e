"""Every kind of object by the name that announcements give their subjects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy.orm import Session

from meet2be.objects.attendees import attendee_told
from meet2be.objects.base import Told
from meet2be.objects.events import event_told, ticket_type_told
from meet2be.objects.exports import export_told
from meet2be.objects.imports import import_told
from meet2be.objects.mails import mail_told
from meet2be.objects.members import invitation_told, member_told
from meet2be.objects.orders import order_told
from meet2be.objects.refunds import refund_told

KINDS: Final[Mapping[str, Callable[[Session, str], Told | None]]] = {
    "attendee": attendee_told,
    "event": event_told,
    "export": export_told,
    "import": import_told,
    "invitation": invitation_told,
    "mail": mail_told,
    "member": member_told,
    "order": order_told,
    "refund": refund_told,
    "ticket_type": ticket_type_told,
}


def object_of(session: Session, kind: str, uid: str) -> dict[str, Any] | None:
    """Return a thing of the session's tenant as the API gives it, as JSON; None when it is gone."""
    told = KINDS[kind](session, uid)
    return None if told is None else told.model_dump(mode="json")
