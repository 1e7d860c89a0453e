"""Writing planned orders into the database, many in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, insert, select, update
from sqlalchemy.orm import Session

from meet2be.attendees import csv_rows as columns
from meet2be.attendees.keys import address_keys, code_keys, company_keys, name_keys
from meet2be.attendees.models import Attendee
from meet2be.attendees.order_plans import (
    PlannedOrder,
    PlannedPayment,
    Settlement,
    provider_ref,
    settlement_of,
)
from meet2be.attendees.report import ImportReport
from meet2be.attendees.row_parsing import AttendeeRow
from meet2be.db import clock_of
from meet2be.db.columns import new_uid
from meet2be.events.models import Event, TicketType
from meet2be.invoices.models import Invoice
from meet2be.language import Message
from meet2be.orders.models import Order
from meet2be.payments.models import Payment
from meet2be.payments.provider import OUTSIDE


@dataclass(frozen=True, slots=True)
class WrittenOrders:
    """The new attendees' numbers by the numbers of their rows, and their `updated_at`.

    `raised` says, by the number of each kind of ticket, by how much its quota was raised for them.
    """

    attendees: Mapping[int, int]
    at: datetime
    raised: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Target:
    """Where the orders go."""

    tenant_id: int
    tenant_slug: str
    event_id: int
    currency: str
    test_mode: bool
    provider: str = "stripe"
    """Who took the money: the provider, who then has payments of the names we derive, or nobody
    who could be asked (`OUTSIDE`)."""


def write_orders(
    session: Session, target: Target, orders: Sequence[PlannedOrder], report: ImportReport
) -> WrittenOrders:
    """Write those orders that the event does not have and can take; the caller commits."""
    new = new_orders(session, target, orders, report)
    writer = _Writer(session, target, report)
    return WrittenOrders(writer.write(new) if new else {}, writer.now, writer.raised)


def new_orders(
    session: Session, target: Target, orders: Sequence[PlannedOrder], report: ImportReport
) -> list[PlannedOrder]:
    """Return those orders that the event does not have and can take, and account for the others."""
    new = _unknown(session, target, orders, report)
    new = _with_free_numbers(session, new, report)
    for order in new:
        for number, remark in order.warnings:
            report.warn(number, remark.column, remark.value, remark.message)
    return new


def _unknown(
    session: Session, target: Target, orders: Sequence[PlannedOrder], report: ImportReport
) -> list[PlannedOrder]:
    """Return the orders that are new; account for the rows of the others."""
    codes = [order.code for order in orders]
    found = session.execute(
        select(Order.code, Order.id, Order.event_id, Event.slug)
        .join(Event, (Event.id == Order.event_id) & (Event.tenant_id == Order.tenant_id))
        .where(Order.code.in_(codes))
    )
    known = {row.code: row for row in found}
    people = _people(session, [row.id for row in known.values()])
    for order in orders:
        if order.code not in known:
            continue
        _, order_id, event_id, slug = known[order.code]
        there = people.get(order_id, set())
        for row in order.rows:
            if event_id != target.event_id:
                why = Message(
                    "is an order of the event '%(event)s'. Give this order another code.",
                    {"event": slug},
                )
                report.refuse(row.number, (columns.ORDER, order.code, why))
            elif row.identity in there:
                report.known(row.number)
            else:
                why = Message(
                    "is here already, without this person. Give the new tickets another code."
                )
                report.refuse(row.number, (columns.ORDER, order.code, why))
    return [order for order in orders if order.code not in known]


def _people(session: Session, order_ids: Sequence[int]) -> dict[int, set[tuple[str, str | None]]]:
    if not order_ids:
        return {}
    people: dict[int, set[tuple[str, str | None]]] = {}
    found = session.execute(
        select(Attendee.order_id, Attendee.name, Attendee.email_norm).where(
            Attendee.order_id.in_(order_ids)
        )
    )
    for order_id, name, email_norm in found:
        people.setdefault(order_id, set()).add((name.casefold(), email_norm))
    return people


def _with_free_numbers(
    session: Session, orders: Sequence[PlannedOrder], report: ImportReport
) -> list[PlannedOrder]:
    """Return the orders whose invoice numbers nobody has; an invoice belongs to one order."""
    wanted = [number for order in orders for number in order.invoices()]
    owners: dict[str, str] = {}
    if wanted:
        found = session.execute(
            select(Invoice.number, Order.code)
            .join(Order, (Order.id == Invoice.order_id) & (Order.tenant_id == Invoice.tenant_id))
            .where(Invoice.number.in_(wanted))
        )
        owners = {number: code for number, code in found}  # noqa: C416 -- rows are no tuples
    taken: list[PlannedOrder] = []
    for order in orders:
        clash = next((number for number in order.invoices() if number in owners), None)
        if clash is None:
            owners.update(dict.fromkeys(order.invoices(), order.code))
            taken.append(order)
            continue
        why = Message(
            "is an invoice of the order '%(order)s'. Each order has invoices of its own.",
            {"order": owners[clash]},
        )
        for row in order.rows:
            report.refuse(row.number, (columns.INVOICE, clash, why))
    return taken


class _Writer:
    """One batch of new orders on its way into the tables."""

    def __init__(self, session: Session, target: Target, report: ImportReport) -> None:
        self._session = session
        self._target = target
        self._report = report
        self.now = clock_of(session).now()
        self.raised: dict[int, int] = {}
        self._owner = {
            "tenant_id": target.tenant_id,
            "created_at": self.now,
            "updated_at": self.now,
        }

    def write(self, orders: Sequence[PlannedOrder]) -> dict[int, int]:
        """Insert everything, parents first, and count it; return attendees by their rows."""
        kinds = self._ticket_types(row for order in orders for row in order.rows)
        order_ids = self._insert(Order, Order.code, [self._order(order) for order in orders])
        invoice_ids = self._insert(
            Invoice,
            Invoice.number,
            [
                self._invoice(order_ids[order.code], number, rows)
                for order in orders
                for number, rows in order.invoices().items()
            ],
        )
        settled = self._payments(orders, order_ids, invoice_ids)
        attendee_ids = self._insert(
            Attendee,
            Attendee.ticket_code,
            [
                {
                    **self._attendee(order, position, row),
                    "order_id": order_ids[order.code],
                    "ticket_type_id": kinds[row.ticket],
                    "invoice_id": invoice_ids[row.invoice] if row.invoice else None,
                    "payment_id": settled[order.code, paid]
                    if (paid := settlement_of(row))
                    else None,
                }
                for order in orders
                for position, row in enumerate(order.rows, start=1)
            ],
        )
        self._count(orders, len(invoice_ids), len(settled))
        return {
            row.number: attendee_ids[_ticket_code(order, position)]
            for order in orders
            for position, row in enumerate(order.rows, start=1)
        }

    def _payments(
        self, orders: Sequence[PlannedOrder], order_ids: dict[str, int], invoice_ids: dict[str, int]
    ) -> dict[tuple[str, Settlement], int]:
        """Insert what was paid, and return the payments by their orders and what they settled."""
        payments = [(order, payment) for order in orders for payment in order.payments()]
        payment_ids = self._insert(
            Payment,
            Payment.key,
            [
                self._payment(order, payment, order_ids[order.code], invoice_ids)
                for order, payment in payments
            ],
        )
        return {
            (order.code, (payment.status, payment.invoice)): payment_ids[
                _key_of(self._ref(order, payment))
            ]
            for order, payment in payments
        }

    def _insert(self, model: Any, key: Any, rows: list[dict[str, Any]]) -> dict[str, int]:
        """Insert rows, many in a statement, and return their numbers by the natural key."""
        if not rows:
            return {}
        # Past the ORM, which would cost more than the database: the rows name their tenant.
        table = model.__table__
        statement = insert(table).returning(table.c[key.key], table.c.id)
        found = self._session.connection().execute(statement, rows)
        return {name: number for name, number in found}  # noqa: C416

    def _order(self, order: PlannedOrder) -> dict[str, Any]:
        buyer = order.rows[0]
        return self._owner | {
            "uid": new_uid(),
            "event_id": self._target.event_id,
            "code": order.code,
            "buyer_name": buyer.name,
            "buyer_email": buyer.email,
            "buyer_email_norm": buyer.email_norm,
            "locale": buyer.locale,
            "status": "pending" if order.is_pending else "paid",
            "total_minor": sum(row.price for row in order.rows),
            "currency": self._target.currency,
            "test_mode": self._target.test_mode,
            "paid_at": None if order.is_pending else self._earliest(order.rows),
        }

    def _invoice(self, order_id: int, number: str, rows: Sequence[AttendeeRow]) -> dict[str, Any]:
        return self._owner | {
            "uid": new_uid(),
            "event_id": self._target.event_id,
            "order_id": order_id,
            "number": number,
            "kind": "invoice",
            "total_minor": sum(row.price for row in rows),
            "currency": self._target.currency,
            "status": _invoice_status(rows),
            "issued_at": self._earliest(rows),
        }

    def _payment(
        self,
        order: PlannedOrder,
        payment: PlannedPayment,
        order_id: int,
        invoice_ids: dict[str, int],
    ) -> dict[str, Any]:
        ref = self._ref(order, payment)
        return self._owner | {
            "uid": new_uid(),
            "order_id": order_id,
            "invoice_id": invoice_ids[payment.invoice] if payment.invoice else None,
            "provider": self._target.provider,
            "provider_ref": None if self._target.provider == OUTSIDE else ref,
            "method": OUTSIDE if self._target.provider == OUTSIDE else "card",
            "key": _key_of(ref),
            "amount_minor": payment.amount,
            "currency": self._target.currency,
            "refunded_minor": payment.refunded,
            "status": payment.status,
            "test_mode": self._target.test_mode,
            "paid_at": None if payment.status == "pending" else self._earliest(payment.rows),
        }

    def _attendee(self, order: PlannedOrder, position: int, row: AttendeeRow) -> dict[str, Any]:
        code = _ticket_code(order, position)
        return self._owner | {
            "uid": new_uid(),
            "event_id": self._target.event_id,
            "ticket_code": code,
            "name": row.name,
            "email": row.email,
            "email_norm": row.email_norm,
            "company": row.company,
            "locale": row.locale,
            "status": "checked_in" if row.checked_in else "active",
            "price_minor": row.price,
            "refunded_minor": row.refunded,
            "currency": self._target.currency,
            "notes": row.notes,
            "registered_at": row.registered_at,
            **name_keys(row.name),
            **address_keys(row.email_norm),
            **company_keys(row.company),
            **code_keys(code),
        }

    def _ref(self, order: PlannedOrder, payment: PlannedPayment) -> str:
        return provider_ref(self._target.tenant_slug, order, payment)

    def _earliest(self, rows: Sequence[AttendeeRow]) -> datetime:
        return min((row.registered_at for row in rows if row.registered_at), default=self.now)

    def _ticket_types(self, rows: Iterable[AttendeeRow]) -> dict[str, int]:
        """Return the ticket types by name, made where missing, with these tickets as sold.

        Tickets in a list were sold elsewhere: a quota that is too small for them is raised.
        """
        sold: Counter[str] = Counter()
        prices: dict[str, int] = {}
        for row in rows:
            sold[row.ticket] += 1
            prices.setdefault(row.ticket, row.price)
        of_event = TicketType.event_id == self._target.event_id
        found = {
            kind.name: kind
            for kind in self._session.scalars(
                select(TicketType)
                .where(of_event, TicketType.name.in_(sold))
                .order_by(TicketType.id)
                .with_for_update()
                .execution_options(populate_existing=True)
            )
        }
        for name in sold.keys() - found.keys():
            kind = TicketType(
                event_id=self._target.event_id, name=name, price_minor=prices[name], quota=0
            )
            self._session.add(kind)
            found[name] = kind
            self._report.ticket_types_created.append(name)
        self._session.flush()
        for name, count in sold.items():
            kind = found[name]
            if (lacking := kind.held + kind.sold + count - kind.quota) > 0:
                self._report.quotas_raised.append(name)
                self.raised[kind.id] = lacking
            needed = TicketType.held + TicketType.sold + count
            self._session.execute(
                update(TicketType)
                .where(TicketType.id == kind.id)
                .values(
                    sold=TicketType.sold + count,
                    quota=case((needed > TicketType.quota, needed), else_=TicketType.quota),
                ),
                execution_options={"synchronize_session": False},
            )
        return {name: kind.id for name, kind in found.items()}

    def _count(self, orders: Sequence[PlannedOrder], invoices: int, payments: int) -> None:
        report, currency = self._report, self._target.currency
        report.orders += len(orders)
        report.invoices += invoices
        report.payments += payments
        for order in orders:
            for row in order.rows:
                report.added += 1
                report.by_state[row.state] += 1
                report.paid_minor[currency] += row.price
                report.refunded_minor[currency] += row.refunded


def _key_of(ref: str) -> str:
    """Return what keeps the payment of a list from being written twice."""
    return f"import:{ref}"


def _ticket_code(order: PlannedOrder, position: int) -> str:
    return f"{order.code}-{position}"


def _invoice_status(rows: Sequence[AttendeeRow]) -> str:
    if any(row.state == "pending" for row in rows):
        return "open"
    refunded = sum(row.refunded for row in rows)
    if not refunded:
        return "paid"
    return "refunded" if refunded == sum(row.price for row in rows) else "part_refunded"
