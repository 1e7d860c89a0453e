"""The mails a cancellation writes, from what is known when they are written."""

from __future__ import annotations

from typing import Any, Literal

from meet2be.cancellations.context import RunContext
from meet2be.cancellations.planning import ALREADY_REFUNDED, FREE, NO_INVOICE, NOT_PAID, TEST_MODE
from meet2be.mailings.services import PRIORITY_BULK, MailDraft

RELATED_TYPE = "cancel_item"
PERSONAL = ("name", "ticket_code", "order_code")
# The words the template `event_cancelled` knows for what became of the money.
Told = Literal["refunded", "pending", "nothing_charged", "already_refunded", "organiser"]
_NOTHING_CHARGED = frozenset({FREE, NO_INVOICE, NOT_PAID, TEST_MODE})


def told_for_skip(reason: str | None) -> Told:
    """Return what an attendee without a refund is told, by the reason there is none."""
    if reason in _NOTHING_CHARGED:
        return "nothing_charged"
    return "already_refunded" if reason == ALREADY_REFUNDED else "organiser"


def cancelled(context: RunContext, item: Any, told: Told, amount_minor: int) -> MailDraft:
    """Return the one mail each attendee gets about the cancellation; needs an address."""
    return _draft(
        context, item, "event_cancelled", f"cancel:{context.run_id}:{item.attendee_id}",
        {"outcome": told, "amount_minor": amount_minor, "message": context.options.message},
        (RELATED_TYPE, item.id),
    )  # fmt: skip


def refund_failed(context: RunContext, item: Any, refund_uid: str) -> MailDraft:
    """Return the second mail, when a refund that was announced came back."""
    return _draft(
        context, item, "refund_failed", f"refund-failed:{refund_uid}:{item.attendee_id}",
        {"amount_minor": item.planned_minor}, ("refund", item.refund_id),
    )  # fmt: skip


def refund_made(context: RunContext, item: Any, refund_uid: str) -> MailDraft:
    """Return the second mail, when a refund worked that was announced as the organiser's."""
    return _draft(
        context, item, "refund_made", f"refund-made:{refund_uid}:{item.attendee_id}",
        {"amount_minor": item.planned_minor}, ("refund", item.refund_id),
    )  # fmt: skip


def _draft(
    context: RunContext,
    item: Any,
    template: str,
    key: str,
    more: dict[str, Any],
    related: tuple[str, int],
) -> MailDraft:
    return MailDraft(
        tenant_id=context.tenant_id,
        kind=template,
        template=template,
        locale=item.locale,
        to_addr=item.email_snapshot,
        dedupe_key=key,
        context={
            "event_title": context.event_title,
            "starts_at": context.event_starts_at,
            "name": item.name_snapshot,
            "ticket_code": item.ticket_code,
            "ticket_name": item.ticket_name,
            "order_code": item.order_code,
            "tenant_name": context.tenant_name,
            "currency": item.currency,
            **more,
        },
        sender=context.sender,
        priority=PRIORITY_BULK,
        related_type=related[0],
        related_id=related[1],
        personal=PERSONAL,
        event_id=context.event_id,
        test_mode=context.test_mode,
    )
