"""The provider's own pages on which orders are paid, and the payments that wait for somebody.

What became of them the provider is asked: soon after a message of its own, else at the payment's
`look_at`. A look changes payments only, each in one direction; the order's step goes by them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.checkout.desk import PAGE_GRACE, PAGE_MARGIN, CheckoutDesk
from meet2be.checkout.letters import page_of
from meet2be.events.models import Event
from meet2be.orders.facts import OrderCanGoOn
from meet2be.orders.models import Order, OrderStep
from meet2be.payments.errors import ProviderUnavailable
from meet2be.payments.models import Payment
from meet2be.payments.provider import (
    META_PAYMENT,
    META_TENANT,
    PageOrder,
    PaymentPage,
    ProviderPayment,
)
from meet2be.tenancy.models import Tenant

STEP = "process_payment"
FIRST_LOOK = timedelta(minutes=3)
SOON = timedelta(minutes=2)
"""What is due within this is looked at now; so long nobody else is sent to look."""
LONGEST_PAUSE = timedelta(minutes=10)
BANK_PAUSE = timedelta(hours=1)
BANKS_TIME = timedelta(days=30)
"""After this nobody waits for a bank any more; its message still counts."""
AT_ONCE = 200
_LOOKED_AT = ("created", "pending", "failed")


@dataclass(frozen=True, slots=True)
class _Look:
    payment_id: int
    mark: str
    page_ref: str | None
    account: str | None
    test_mode: bool
    is_useless: bool


def hold_for_page(desk: CheckoutDesk, order: Order, now: datetime) -> None:
    """Keep an order's tickets at least as long as a page has to be open."""
    until = now + desk.payments.shortest_page + PAGE_MARGIN + PAGE_GRACE
    if order.expires_at is None or order.expires_at < until:
        order.expires_at = until


def page_order(
    session: Session,
    desk: CheckoutDesk,
    tenant: Tenant,
    order: Order,
    payment: Payment,
    step: OrderStep,
) -> PageOrder:
    """Return what the provider is asked for, the same each time: it compares all of it by its key.

    What may be changed between two tries, as the event's title, is kept with the step.
    """
    asked = step.result.get("page")
    if asked is None or asked["payment"] != payment.uid:
        event = session.get_one(Event, order.event_id)
        asked = {
            "payment": payment.uid,
            "title": f"{event.title} – {order.code}"[:250],
            "own": page_of(desk, tenant, event, order),
        }
        step.result = {**step.result, "page": asked}
    own = asked["own"]
    ends = (order.expires_at or payment.created_at) - PAGE_GRACE
    return PageOrder(
        key=payment.key or "",
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        title=asked["title"],
        reference=order.code,
        success_url=f"{own}?came=paid",
        cancel_url=f"{own}?came=back",
        expires_at=ends.replace(microsecond=0),
        email=order.buyer_email,
        language=order.locale.partition("-")[0],
        account=payment.provider_account,
        test_mode=payment.test_mode,
        metadata={META_PAYMENT: payment.uid, META_TENANT: tenant.uid, "order": order.code},
    )


def look_at_payments(
    desk: CheckoutDesk, tenant_id: int, order_uid: str, ensure_lease: Callable[[], None]
) -> None:
    """Ask the provider about each payment of an order that is due, and write down what it says."""
    with desk.db.tenant_session(tenant_id, read_only=True) as session:
        due = _due(session, order_uid, desk.clock.now() + SOON)
    for look in due:
        ensure_lease()
        try:
            page, found = _asked(desk, look)
        except ProviderUnavailable:
            page, found = None, None  # it is looked at again later
        with desk.db.tenant_session(tenant_id) as session:
            _write(session, look, page, found, desk.clock.now())
            session.commit()


def _due(session: Session, order_uid: str, until: datetime) -> Sequence[_Look]:
    rows = session.execute(
        select(Payment, Order.status, OrderStep.state)
        .join(Order, Order.id == Payment.order_id)
        .join(OrderStep, OrderStep.order_id == Order.id)
        .where(
            Order.uid == order_uid,
            OrderStep.step == STEP,
            Payment.look_at <= until,
            Payment.status.in_(_LOOKED_AT),
        )
        .order_by(Payment.id)
    ).all()
    if not rows:
        return ()
    order_id = rows[0].Payment.order_id
    last = session.scalar(select(func.max(Payment.id)).where(Payment.order_id == order_id))
    return [
        _Look(
            each.id, each.uid, each.page_ref, each.provider_account, each.test_mode,
            is_useless=(status, state) != ("pending", "waiting") or each.id != last,
        )
        for each, status, state in rows
    ]  # fmt: skip


def _asked(desk: CheckoutDesk, look: _Look) -> tuple[PaymentPage | None, ProviderPayment | None]:
    """Return the page, if there is one, and the payment; closes a page nobody should pay on."""
    provider = desk.payments
    if look.page_ref is None:
        return None, provider.charge_of(look.mark, look.account, test_mode=look.test_mode)
    page = provider.page_of(look.page_ref, look.account, test_mode=look.test_mode)
    if page.status == "open" and look.is_useless:
        page = provider.close_page(look.page_ref, look.account, test_mode=look.test_mode)
    return page, page.payment


def _write(
    session: Session,
    look: _Look,
    page: PaymentPage | None,
    found: ProviderPayment | None,
    now: datetime,
) -> None:
    payment = session.get_one(Payment, look.payment_id, with_for_update={"key_share": True})
    if payment.status not in _LOOKED_AT:
        return
    age = now - payment.created_at
    payment.look_at = now + min(LONGEST_PAUSE, max(SOON, age))
    if found is not None and (page is None or page.status == "complete"):
        payment.provider_ref = found.id
        payment.look_at = now + BANK_PAUSE if age < BANKS_TIME else None
    if found is not None and found.status == "succeeded":
        payment.status, payment.paid_at, payment.look_at = "succeeded", found.created_at, None
        payment.provider_ref = found.id
    elif _came_to_nothing(page, found):
        payment.status, payment.look_at = "failed", None


def _came_to_nothing(page: PaymentPage | None, found: ProviderPayment | None) -> bool:
    if page is not None and page.status != "complete":
        return page.status == "expired"
    return found is not None and found.status == "failed"


def wake_waiting_tx(desk: CheckoutDesk) -> int:
    """Let orders look at payments that are due: a message may have been lost. Return how many."""
    now = desk.clock.now()
    with desk.db.system_session("find payments to be looked at", read_only=True) as session:
        due = session.execute(
            select(Payment.tenant_id, Payment.id, Order.uid)
            .join(Order, Order.id == Payment.order_id)
            .where(Payment.look_at <= now, Payment.status.in_(_LOOKED_AT))
            .order_by(Payment.look_at)
            .limit(AT_ONCE)
        ).all()
    for tenant_id, payment_id, uid in due:
        with desk.db.tenant_session(tenant_id) as session:
            session.execute(
                update(Payment)
                .where(Payment.id == payment_id, Payment.look_at <= now)
                .values(look_at=now + SOON)
                .execution_options(synchronize_session=False)
            )
            facts.note(session, OrderCanGoOn(uid))
            session.commit()
    return len(due)


def look_soon(session: Session, order: Order, now: datetime) -> bool:
    """Have an order's open pages looked at now; tells whether there are any. The caller commits.

    Called when its buyer comes back, and when nobody should pay on them any more.
    """
    mine = (Payment.order_id == order.id, Payment.status == "pending", Payment.look_at > now)
    payments = session.scalars(select(Payment).where(*mine).with_for_update(key_share=True)).all()
    for payment in payments:
        payment.look_at = now
    if payments:
        facts.note(session, OrderCanGoOn(order.uid))
    return bool(payments)
