"""The lines of a plan, read from the database as a stream in the plan's order."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeAlias

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from meet2be.attendees.models import Attendee
from meet2be.cancellations.models import CancelItem
from meet2be.cancellations.planning import Line, PaidWith
from meet2be.payments.models import Payment

BATCH = 500
# A payment, or no payment and an attendee.
Place: TypeAlias = tuple[int | None, int]


def lines_of(
    session: Session,
    event_id: int,
    *,
    not_in_run: int | None = None,
    reopened_in: int | None = None,
    beyond: Place | None = None,
    up_to: int | None = None,
) -> Generator[Line, None, None]:
    """Yield the event's uncancelled attendees ordered by payment, the unpaid ones last.

    `not_in_run` leaves out those that run has an item for; `reopened_in` yields only those whose
    item in that run was passed over as not paid. `beyond` begins after a payment, or after an
    attendee without one: (payment's id or None, attendee's id). `up_to` is the last attendee's id.

    Both parts are read along an index, so that whoever stops early pays for what was read only;
    it is to be closed before its session then.
    """
    for part in _parts(event_id, beyond):
        statement = part
        if not_in_run is not None:
            has_item = select(CancelItem.id).where(
                CancelItem.run_id == not_in_run, CancelItem.attendee_id == Attendee.id
            )
            statement = statement.where(~has_item.exists())
        if reopened_in is not None:
            waiting = select(CancelItem.id).where(
                CancelItem.run_id == reopened_in,
                CancelItem.attendee_id == Attendee.id,
                CancelItem.refund_state == "none_needed",
                CancelItem.skip_reason == "not_paid",
            )
            statement = statement.where(waiting.exists(), Payment.status == "succeeded")
        else:
            statement = statement.where(Attendee.status != "cancelled")
        with session.execute(statement, execution_options={"yield_per": BATCH}) as rows:
            for row in rows:
                # Not asked of the database: it would read along the attendees' own index then.
                if up_to is None or row[0] <= up_to:
                    yield _line(row)


def _parts(event_id: int, beyond: Place | None) -> list[Any]:
    """Return what is left to read: those with payments, then those without."""
    payment_id, attendee_id = (0, 0) if beyond is None else beyond
    parts: list[Any] = []
    if payment_id is not None:
        paid = _lines(event_id).where(Attendee.payment_id > payment_id)
        parts.append(paid.order_by(Attendee.payment_id, Attendee.id))
        attendee_id = 0
    unpaid = _lines(event_id).where(Attendee.payment_id.is_(None), Attendee.id > attendee_id)
    return [*parts, unpaid.order_by(Attendee.id)]


def _lines(event_id: int) -> Any:
    # An outer join although all payments are there: SQLite then begins with the attendees.
    return (
        select(
            Attendee.id, Attendee.order_id, Attendee.invoice_id, Attendee.name, Attendee.email,
            Attendee.locale, Attendee.price_minor, Attendee.refunded_minor, Attendee.currency,
            Attendee.status, Attendee.anonymised_at, Payment.id, Payment.status,
            Payment.amount_minor, Payment.reserved_minor, Payment.refunded_minor, Payment.currency,
            Payment.provider, Payment.provider_account, Payment.test_mode,
        )
        .outerjoin(
            Payment,
            and_(Payment.id == Attendee.payment_id, Payment.tenant_id == Attendee.tenant_id),
        )
        .where(Attendee.event_id == event_id)
    )  # fmt: skip


def _line(row: Any) -> Line:
    (
        attendee_id, order_id, invoice_id, name, email, locale, price, refunded, currency, status,
        anonymised_at, payment_id, payment_status, amount, reserved, returned, paid_in, provider,
        account, test_mode,
    ) = row  # fmt: skip
    payment = None
    if payment_id is not None:
        payment = PaidWith(
            payment_id, payment_status, amount, reserved + returned, paid_in,
            circuit_name(provider, account), test_mode,
        )  # fmt: skip
    return Line(
        attendee_id, order_id, invoice_id, name, None if anonymised_at else email, locale, price,
        refunded, currency, status == "checked_in", payment,
    )  # fmt: skip


def circuit_name(provider: str, account: str | None) -> str:
    """Return one word for a provider's account, as runs store which ones they need."""
    return f"{provider}:{account or ''}"
