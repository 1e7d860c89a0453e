"""Reads of payments for others than the refund ledger."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.events.models import Event
from meet2be.orders.models import Order
from meet2be.payments.models import Payment

PAGE: Final = 500
_PAID: Final = ("succeeded", "disputed")


def provider_payments(session: Session, event: Event) -> Iterator[dict[str, Any]]:
    """Yield an event's payments as the simulated provider wants to be told of them.

    Only those the provider has taken (succeeded or disputed); amounts in minor units; by pages,
    so that any number fits in memory.
    """
    last = 0
    while True:
        rows = session.execute(
            select(
                Payment.id, Payment.provider_ref, Payment.amount_minor, Payment.currency,
                Payment.refunded_minor, Payment.status, Order.code,
            )
            .join(Order, (Order.id == Payment.order_id) & (Order.tenant_id == Payment.tenant_id))
            .where(
                Payment.tenant_id == event.tenant_id,
                Order.event_id == event.id,
                Payment.status.in_(_PAID),
                Payment.provider_ref.is_not(None),
                Payment.id > last,
            )
            .order_by(Payment.id)
            .limit(PAGE)
        ).all()  # fmt: skip
        for row in rows:
            last = row.id
            yield {
                "payment_intent": row.provider_ref,
                "amount": row.amount_minor,
                "currency": row.currency.lower(),
                "refunded": row.refunded_minor,
                "disputed": row.status == "disputed",
                "metadata": {"order": row.code},
            }
        if len(rows) < PAGE:
            return
