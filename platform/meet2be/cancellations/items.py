"""What a settled refund does to the attendees it was for: ticket, invoice, mail, item.

Called in the transaction that settles it, by the run's lanes and by the provider's events alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.cancellations import announcements, letters
from meet2be.cancellations import statements as sql
from meet2be.cancellations.context import RunContext
from meet2be.cancellations.planning import DISPUTED
from meet2be.invoices.services import (
    CreditNote,
    issue_credit_notes,
    restate_invoices,
    void_credit_notes,
)
from meet2be.mailings.facts import MailsQueued
from meet2be.mailings.services import MailDraft, enqueue_many
from meet2be.payments.ledger import ACCOUNT_TROUBLE, NOT_MADE
from meet2be.payments.services import Booked
from meet2be.payments.statements import SET_CREDIT_NOTE

# Refusals that no other try will change: the organiser pays these in another way.
MANUAL_CODES = frozenset({
    "charge_not_refundable", "charge_expired_for_refund", "refund_not_supported",
    "account_closed", "account_invalid", "expired_or_canceled_card", "lost_or_stolen_card",
    "payment_method_not_refundable", "no_test_account", "amount_not_payable",
})  # fmt: skip
DISPUTED_CODE = "charge_disputed"


@dataclass(frozen=True, slots=True)
class Finish:
    """How one item ends: its refund's state, what its attendee is told, what was planned."""

    item: Any
    refund_state: str
    told: letters.Told
    planned_minor: int
    skip_reason: str | None = None
    error_code: str | None = None
    error_text: str | None = None


def finish(
    session: Session, context: RunContext, finishes: Sequence[Finish], now: datetime
) -> None:
    """Cancel the attendees, write their mails, and end their items; once each."""
    if not finishes:
        return
    connection = session.connection()
    tenant = context.tenant_id
    mails = _write_mails(session, context, finishes, now)
    sql.FINISH_ITEMS.run_many(
        connection,
        [
            {
                "tenant": tenant, "now": now, "item": each.item.id,
                "v_refund_state": each.refund_state,
                "v_mail_state": mails[each.item.id][0], "v_mail_id": mails[each.item.id][1],
                "v_planned": each.planned_minor, "v_skip_reason": each.skip_reason,
                "v_error_code": each.error_code, "v_error_text": each.error_text,
            }
            for each in finishes
        ],
    )  # fmt: skip
    fresh = [each.item for each in finishes if each.item.cancel_state == "todo"]
    if fresh:
        attendees = [item.attendee_id for item in fresh]
        connection.execute(
            sql.CANCEL_ATTENDEES, {"tenant": tenant, "attendees": attendees, "now": now}
        )
        orders = sorted({item.order_id for item in fresh})
        connection.execute(sql.CANCEL_ORDERS, {"tenant": tenant, "orders": orders, "now": now})
        announcements.attendees_cancelled(session, context, fresh, now)


def _write_mails(
    session: Session, context: RunContext, finishes: Sequence[Finish], now: datetime
) -> dict[int, tuple[str, int | None]]:
    """Return the mail state and mail of each item; an item that has its mail gets no other."""
    states: dict[int, tuple[str, int | None]] = {}
    drafts: list[MailDraft] = []
    for each in finishes:
        item = each.item
        if item.mail_state != "todo":
            states[item.id] = (item.mail_state, item.mail_id)
        elif not item.email_snapshot or item.anonymised_at is not None:
            states[item.id] = ("no_address", None)
        else:
            drafts.append(letters.cancelled(context, item, each.told, each.planned_minor))
    for draft, written in zip(drafts, enqueue_and_note(session, drafts, now), strict=True):
        states[draft.related_id or 0] = written
    return states


def enqueue_and_note(
    session: Session, drafts: Sequence[MailDraft], now: datetime
) -> list[tuple[str, int]]:
    """Write mails and note that they wait; returns the item's mail state and the mail of each."""
    written = enqueue_many(session, drafts, now)
    waiting = tuple(each.mail_id for each in written if each.is_new and each.status == "queued")
    if waiting:
        facts.note(session, MailsQueued(waiting))
    return [
        ("suppressed" if each.status == "suppressed" else "queued", each.mail_id)
        for each in written
    ]


def follow(
    session: Session, context: RunContext, booked: Sequence[Booked], now: datetime
) -> list[Any]:
    """Bring items, attendees, invoices and credit notes after what was booked.

    Returns the items whose refund needs a new one (the provider never made it, or had less left):
    the caller reopens them.
    """
    connection = session.connection()
    changed = {each.id: each for each in booked if each.before != each.status or each.code}
    if not changed:
        return []
    parameters = {"tenant": context.tenant_id, "refunds": sorted(changed)}
    details = connection.execute(sql.DETAILS_OF_REFUNDS, parameters).all()
    sorting = _Sorting(changed)
    for item in details:
        sorting.sort(item)
    finish(session, context, sorting.finishes, now)
    _mark(connection, context, sorting.marks)
    _pay_back(connection, context, sorting.paid_back, now)
    _settle_invoices(connection, context, list(changed.values()), sorting, now)
    _write_second_mails(session, context, sorting, now)
    _audit(connection, context, changed.values(), now)
    announcements.refunds_booked(session, context, list(changed.values()), now)
    return sorting.reopen


class _Sorting:
    """Decides for each item what its refund's new state means."""

    def __init__(self, changed: dict[int, Booked]) -> None:
        self._changed = changed
        self.finishes: list[Finish] = []
        self.marks: dict[int, tuple[str, str | None, str | None]] = {}
        self.paid_back: list[tuple[int, int]] = []
        self.invoices: set[int] = set()
        self.returned: list[tuple[Any, str]] = []
        self.made_after_all: list[tuple[Any, str]] = []
        self.reopen: list[Any] = []

    def sort(self, item: Any) -> None:
        refund = self._changed[item.refund_id]
        match refund.status:
            case "succeeded":
                self._done(item, refund)
            case "pending":
                self._end(item, refund, "pending", "pending")
            case "failed" if refund.code in {NOT_MADE, ACCOUNT_TROUBLE}:
                self.reopen.append(item)
            case "failed":
                self._failed(item, refund)
            case "cancelled":
                self.reopen.append(item)
            case "uncertain":
                self.marks[refund.id] = ("uncertain", refund.code, refund.text)
            case _:
                pass

    def _done(self, item: Any, refund: Booked) -> None:
        if refund.before != "succeeded":
            self.paid_back.append((item.attendee_id, item.planned_minor))
            if item.invoice_id is not None:
                self.invoices.add(item.invoice_id)
            announced = item.mail_state != "todo" and item.refund_state in {"sent", "uncertain"}
            if announced and not refund.by_hand:
                self.made_after_all.append((item, refund.uid))
        self._end(item, refund, "done", "refunded")

    def _failed(self, item: Any, refund: Booked) -> None:
        if refund.before == "succeeded":
            self.paid_back.append((item.attendee_id, -item.planned_minor))
            if item.invoice_id is not None:
                self.invoices.add(item.invoice_id)
        if refund.before in {"pending", "succeeded"}:
            self.returned.append((item, refund.uid))
        if refund.code == DISPUTED_CODE:
            finish = Finish(item, "none_needed", "organiser", item.planned_minor, DISPUTED)
            self.finishes.append(finish)
            return
        state = "manual" if refund.code in MANUAL_CODES else "failed"
        self._end(item, refund, state, "organiser")

    def _end(self, item: Any, refund: Booked, state: str, told: letters.Told) -> None:
        self.finishes.append(
            Finish(
                item, state, told, item.planned_minor, None,
                refund.code if state in {"failed", "manual"} else None,
                refund.text if state in {"failed", "manual"} else None,
            )
        )  # fmt: skip


def _mark(
    connection: Connection,
    context: RunContext,
    marks: dict[int, tuple[str, str | None, str | None]],
) -> None:
    if marks:
        connection.execute(
            sql.MARK_ITEMS,
            [
                {
                    "tenant": context.tenant_id, "refund": refund, "v_refund_state": state,
                    "v_error_code": code, "v_error_text": text,
                }
                for refund, (state, code, text) in marks.items()
            ],
        )  # fmt: skip


def _pay_back(
    connection: Connection,
    context: RunContext,
    amounts: Sequence[tuple[int, int]],
    now: datetime,
) -> None:
    key = {"tenant": context.tenant_id, "now": now}
    sql.PAY_BACK.run_many(
        connection,
        [{**key, "attendee": attendee, "amount": amount} for attendee, amount in amounts],
    )


def _settle_invoices(
    connection: Connection,
    context: RunContext,
    booked: Sequence[Booked],
    sorting: _Sorting,
    now: datetime,
) -> None:
    restate_invoices(connection, context.tenant_id, sorted(sorting.invoices))
    back = [
        each.credit_note_id
        for each in booked
        if each.before == "succeeded" and each.status == "failed" and each.credit_note_id
    ]
    if back:
        void_credit_notes(connection, context.tenant_id, back)
    done = [
        (each, each.invoice_id)
        for each in booked
        if each.status == "succeeded" and each.before != "succeeded" and each.invoice_id is not None
    ]
    notes = [
        CreditNote(context.event_id, each.order_id, invoice, each.amount_minor, each.currency)
        for each, invoice in done
    ]
    ids = issue_credit_notes(connection, context.tenant_id, notes, now, context.zone)
    key = {"tenant": context.tenant_id, "now": now}
    SET_CREDIT_NOTE.run_many(
        connection,
        [
            {**key, "refund": each.id, "note": note}
            for (each, _), note in zip(done, ids, strict=True)
        ],
    )


def _write_second_mails(
    session: Session, context: RunContext, sorting: _Sorting, now: datetime
) -> None:
    drafts = [
        write(context, item, uid)
        for write, pairs in (
            (letters.refund_failed, sorting.returned),
            (letters.refund_made, sorting.made_after_all),
        )
        for item, uid in pairs
        if item.email_snapshot and item.anonymised_at is None and item.mail_state != "todo"
    ]
    enqueue_and_note(session, drafts, now)


def _audit(
    connection: Connection, context: RunContext, booked: Sequence[Booked] | Any, now: datetime
) -> None:
    key = {"tenant": context.tenant_id, "now": now, "actor": f"cancel_run:{context.run_uid}"}
    sql.AUDIT_REFUNDS.run_many(
        connection,
        [
            {
                **key, "act": f"refund.{each.status}", "of_refund": each.uid,
                "was": {"status": each.before},
                "became": {"status": each.status, "amount_minor": each.amount_minor,
                           "currency": each.currency, "code": each.code},
            }
            for each in booked
        ],
    )  # fmt: skip


def reopen(
    connection: Connection, context: RunContext, items: Sequence[Any], amounts: dict[int, int]
) -> None:
    """Put items back to be done, under new units at the end of the run, in the lane they have.

    Items that shared a unit share the new one; `amounts` says by item what is planned now.
    """
    if not items:
        return
    parameters = {"tenant": context.tenant_id, "run": context.run_id}
    last = int(connection.execute(sql.LAST_UNIT, parameters).scalar_one())
    units: dict[int, int] = {}
    for item in items:
        units.setdefault(item.unit, last + 1 + len(units))
    connection.execute(
        sql.REOPEN_ITEMS,
        [
            {
                "tenant": context.tenant_id, "item": item.id, "new_unit": units[item.unit],
                "amount": amounts.get(item.id, item.planned_minor),
            }
            for item in items
        ],
    )  # fmt: skip
