"""Telling organisers of orders that need a person."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from meet2be.language import N_, Message
from meet2be.notifications.services import Notice, notify_admins
from meet2be.orders.models import Order

REASONS = {
    "payments_impossible": N_(
        "No payment can be taken: the payment provider is not set up, or refuses our account."
    ),
    "payment_unknown": N_(
        "Nobody knows whether its payment was taken: the provider gives no usable answer. It is"
        " looked up again every hour."
    ),
    "warehouse_failed": N_(
        "Your warehouse could not be told of it. Look at the address in the settings, then try the"
        " step again from the order's page."
    ),
    "step_failed": N_("One of its steps was given up. Try it again from the order's page."),
}


def needs_attention(session: Session, order: Order, reason: str, now: datetime) -> None:
    """Write the notice, once for each reason; the caller commits."""
    notice = Notice(
        kind="order.needs_attention",
        severity="error" if reason != "warehouse_failed" else "warning",
        title=Message("Order %(order)s needs you", {"order": order.code}),
        body=Message(REASONS[reason]),
        link=f"/orders/{order.uid}",
        related_type="order",
        related_id=order.id,
        dedupe_key=f"order:{order.uid}:{reason}",
    )
    notify_admins(session, order.tenant_id, notice, now)
