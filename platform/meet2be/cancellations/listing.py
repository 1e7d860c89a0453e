"""Cancel runs, their items and previews as pages show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, select
from sqlalchemy.orm import Session

from meet2be.attendees.models import Attendee
from meet2be.cancellations.items_found import ItemFilter
from meet2be.cancellations.models import (
    ACTIVE_RUN_STATES,
    MAIL_STATES,
    REFUND_STATES,
    CancelItem,
    CancelRun,
)
from meet2be.cancellations.options import CancelOptions
from meet2be.cancellations.planning import PlannedItem, plan
from meet2be.cancellations.preview import rules_of
from meet2be.cancellations.sources import Place, lines_of
from meet2be.db.keyset import Order, Page, Slice, fetch_page
from meet2be.events.models import Event
from meet2be.mailings.models import Mail
from meet2be.payments.models import Refund

NEWEST_FIRST = Order((CancelRun.id,), descending=True)
LONGEST_SEARCH = 200
# How many attendees one request looks through for a rare outcome before it asks to go on.
LOOKED_THROUGH = 20_000


@dataclass(frozen=True, slots=True)
class PreviewPart:
    """A part of a preview's list; ``beyond`` is where the next one begins, None at the end.

    ``is_cut`` says that the search was broken off and goes on in the next part.
    """

    items: list[PlannedItem]
    beyond: str | None
    is_cut: bool = False


def known_item_filter(refund_state: str, mail_state: str, words: str, cause: str) -> ItemFilter:
    """Return the filter; states that no item can have leave all in."""
    return ItemFilter(
        refund_state if refund_state in REFUND_STATES else "",
        mail_state if mail_state in MAIL_STATES else "",
        words.strip()[:LONGEST_SEARCH],
        cause.strip()[:128],
    )


def runs_page(session: Session, part: Slice) -> Page:
    """Return a page of (run, event) that were confirmed, the newest first."""
    statement = _with_event().where(CancelRun.state != "preview")
    return fetch_page(session, statement, NEWEST_FIRST, part, whole_rows=True)


def runs_of_event(session: Session, event_id: int) -> list[CancelRun]:
    """Return the event's confirmed runs, the newest first."""
    mine = (CancelRun.event_id == event_id, CancelRun.state != "preview")
    return list(session.scalars(select(CancelRun).where(*mine).order_by(CancelRun.id.desc())))


def run_with_event(session: Session, uid: str) -> tuple[CancelRun, Event] | None:
    """Return the tenant's run of that name with its event."""
    row = session.execute(_with_event().where(CancelRun.uid == uid)).one_or_none()
    return None if row is None else (row[0], row[1])


def active_run_uid(session: Session, event_id: int) -> str | None:
    """Return the name of the event's run that is not over."""
    active = (CancelRun.event_id == event_id, CancelRun.state.in_(ACTIVE_RUN_STATES))
    return session.scalar(select(CancelRun.uid).where(*active))


def position_of_run(session: Session, uid: str) -> tuple[object, ...] | None:
    """Return where a run stands in the list; None when it is not the tenant's."""
    found = session.scalar(select(CancelRun.id).where(CancelRun.uid == uid))
    return None if found is None else (found,)


def items_of_attendee(session: Session, attendee_id: int) -> list[Any]:
    """Return (item, run's uid, refund's uid, mail's uid) of what runs did for one attendee."""
    statement = (
        select(CancelItem, CancelRun.uid, Refund.uid, Mail.uid)
        .join(
            CancelRun,
            and_(CancelRun.tenant_id == CancelItem.tenant_id, CancelRun.id == CancelItem.run_id),
        )
        .outerjoin(
            Refund,
            and_(Refund.tenant_id == CancelItem.tenant_id, Refund.id == CancelItem.refund_id),
        )
        .outerjoin(
            Mail, and_(Mail.tenant_id == CancelItem.tenant_id, Mail.id == CancelItem.mail_id)
        )
        .where(CancelItem.attendee_id == attendee_id)
        .order_by(CancelItem.id.desc())
    )
    return list(session.execute(statement))


def preview_part(
    session: Session,
    event: Event,
    options: CancelOptions,
    beyond: str = "",
    outcome: str = "",
    size: int = 50,
) -> PreviewPart:
    """Return a part of what a run would do, whole payments at a time, at least ``size`` items.

    ``outcome`` leaves only items of that outcome in.
    """
    lines = lines_of(session, event.id, beyond=_place(beyond))
    planned = plan(lines, rules_of(event, options))
    found: list[PlannedItem] = []
    last: PlannedItem | None = None
    for looked, item in enumerate(planned):
        if last is not None and item.unit != last.unit:
            if len(found) >= size:
                return PreviewPart(found, _place_name(last))
            if looked >= LOOKED_THROUGH:
                return PreviewPart(found, _place_name(last), is_cut=True)
        if not outcome or item.outcome == outcome:
            found.append(item)
        last = item
    return PreviewPart(found, None)


def attendee_uids(session: Session, items: list[PlannedItem]) -> dict[int, str]:
    """Return the public names of the attendees that a preview's items are for."""
    wanted = [item.line.attendee_id for item in items]
    rows = session.execute(select(Attendee.id, Attendee.uid).where(Attendee.id.in_(wanted)))
    return {number: uid for number, uid in rows}  # noqa: C416 - rows are no plain tuples to mypy


def failed_items_of_refund(session: Session, refund_id: int) -> list[CancelItem]:
    """Return the items that wait for somebody because this refund did not work."""
    waiting = (CancelItem.refund_id == refund_id, CancelItem.refund_state.in_(("failed", "manual")))
    return list(session.scalars(select(CancelItem).where(*waiting).order_by(CancelItem.id)))


def run_uid_of(session: Session, run_id: int) -> str | None:
    """Return the name of a run of the tenant."""
    return session.scalar(select(CancelRun.uid).where(CancelRun.id == run_id))


def items_of_refund(session: Session, refund_id: int) -> list[tuple[CancelItem, str]]:
    """Return (item, attendee's uid) of everybody a refund is for."""
    rows = session.execute(
        select(CancelItem, Attendee.uid)
        .join(
            Attendee,
            and_(Attendee.tenant_id == CancelItem.tenant_id, Attendee.id == CancelItem.attendee_id),
        )
        .where(CancelItem.refund_id == refund_id)
        .order_by(CancelItem.id)
    )
    return [(item, uid) for item, uid in rows]


def _with_event() -> Select[CancelRun, Event]:
    of_run = and_(Event.tenant_id == CancelRun.tenant_id, Event.id == CancelRun.event_id)
    return select(CancelRun, Event).join(Event, of_run)


def _place_name(item: PlannedItem) -> str:
    payment = item.line.payment
    return f"p{payment.id}" if payment else f"a{item.line.attendee_id}"


def _place(name: str) -> Place | None:
    number = name[1:]
    if not number.isdecimal() or len(number) > 18 or name[0] not in "pa":
        return None
    return (int(number), 0) if name[0] == "p" else (None, int(number))
