"""The step that takes the money: claimed in one commit, asked outside of any, booked in another.

Whatever happens in between, the provider is asked again under the same key, or looked up by our
mark on the payment; a second payment is only begun once it is sure that the first one is none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.checkout import steps as rows
from meet2be.checkout.desk import CheckoutDesk
from meet2be.checkout.expiry import expire
from meet2be.checkout.money_in import (
    is_at_its_end,
    money_is_in,
    pay_back_needless,
    payments_of,
)
from meet2be.checkout.pages import (
    FIRST_LOOK,
    STEP,
    hold_for_page,
    look_at_payments,
    look_soon,
    page_order,
)
from meet2be.checkout.steps import Outcome, Taken, Wait
from meet2be.checkout.telling import needs_attention
from meet2be.checkout.unwinding import unwind
from meet2be.orders.models import Order, OrderStep
from meet2be.payments.errors import ProviderUnavailable
from meet2be.payments.ledger import look_after, may_repeat
from meet2be.payments.models import Payment
from meet2be.payments.provider import (
    META_PAYMENT,
    META_TENANT,
    PAGE_METHOD,
    Busy,
    ChargeAnswer,
    Charged,
    ChargeOrder,
    Opened,
    PageAnswer,
    PageOrder,
    PaymentPage,
    ProviderPayment,
    Refused,
    Uncertain,
)
from meet2be.tenancy.models import Tenant

LEASE = timedelta(seconds=90)
# Stripe's search knows a payment within a minute; a stored error is believed after two.
STORED_WAIT = 120.0
MOST_LOOKS = 12
# A call takes a minute at most, and the search another one to know of it.
BELIEVED_AFTER = 180.0


@dataclass(frozen=True, slots=True)
class _Asking:
    """What is asked of the provider, frozen before it is asked.

    `look_only`: nothing may be begun, as the key answers a stored error for ever, or the order
    `is_over`.
    """

    order: ChargeOrder | PageOrder
    payment_id: int
    mark: str
    attempt: int
    begun_at: datetime
    is_repeat: bool
    look_only: bool
    is_over: bool


def process_payment(
    desk: CheckoutDesk, tenant_id: int, order_uid: str, ensure_lease: Callable[[], None]
) -> Outcome:
    """Take the order's money once and say what its chain does next.

    On the provider's own page the buyer pays, and the step waits for them.
    """
    look_at_payments(desk, tenant_id, order_uid, ensure_lease)
    with desk.db.tenant_session(tenant_id) as session:
        claimed = _claim(session, desk, order_uid)
        session.commit()
    if not isinstance(claimed, _Asking):
        return claimed
    ensure_lease()
    answer = _ask(desk, claimed)
    with desk.db.tenant_session(tenant_id) as session:
        outcome = _book(session, desk, order_uid, claimed, answer)
        session.commit()
    return outcome


def _claim(session: Session, desk: CheckoutDesk, order_uid: str) -> _Asking | Outcome:
    now = desk.clock.now()
    taken = rows.take(session, order_uid, STEP, now, also=("waiting", "failed"))
    if not isinstance(taken, Taken):
        if not isinstance(taken, Wait):
            pay_back_needless(session, desk, order_uid, now)
        return taken
    known = payments_of(session, taken.order)
    settled = _settle_by_ledger(session, desk, taken, known, now)
    if settled is not None or taken.step.state == "failed":
        return settled or "stop"
    if taken.step.state == "waiting" and taken.order.status != "pending":
        return "stop"
    why = rows.why_unwanted(taken.order, taken.event, now)
    if why is not None and (known and known[-1].status) != "created":
        return _give_up(session, desk, taken, why, now)
    if taken.order.total_minor == 0:
        rows.finish(taken.step, now, {"free": True})
        return "go"
    return _prepare(session, desk, taken, known, now, is_over=why is not None)


def _settle_by_ledger(
    session: Session, desk: CheckoutDesk, taken: Taken, known: Sequence[Payment], now: datetime
) -> Outcome | None:
    """Let what a message of the provider has told decide, None when it has told nothing."""
    paid = [payment for payment in known if payment.status == "succeeded"]
    if paid:
        return money_is_in(session, desk, taken, paid, now)
    last = known[-1] if known else None
    if taken.step.state == "waiting" and last is not None and last.status == "failed":
        rows.fail(taken.step, now, "payment_failed")
        if last.method == PAGE_METHOD and is_at_its_end(taken.order, now):
            expire(session, taken.order, now)
        return "stop"
    if last is None or last.status != "pending":
        return None
    if taken.step.state == "doing":
        # A late answer told of it to an attempt that came to nothing: no second one is begun.
        taken.step.state, taken.step.lease_until = "waiting", None
    return "stop" if taken.step.state == "waiting" else None


def _give_up(
    session: Session, desk: CheckoutDesk, taken: Taken, why: str, now: datetime
) -> Outcome:
    """End an order that nobody may pay any more; money that still comes is dealt with then."""
    if taken.step.state == "waiting":
        return "stop"
    rows.fail(taken.step, now, why)
    if taken.order.status in {"cancelled", "failed"}:
        taken.step.state = "dropped"
    if taken.order.status != "pending":
        return "stop"
    if why == "expired":
        expire(session, taken.order, now)
    else:
        unwind(session, desk, taken.order, "failed", why, now)
    return "stop"


def _prepare(
    session: Session,
    desk: CheckoutDesk,
    taken: Taken,
    known: Sequence[Payment],
    now: datetime,
    *,
    is_over: bool,
) -> _Asking:
    order, step = taken.order, taken.step
    tenant = session.get_one(Tenant, order.tenant_id)
    open_ones = [payment for payment in known if payment.status == "created"]
    is_repeat = bool(open_ones)
    payment = open_ones[-1] if open_ones else _new_payment(desk, tenant, order, len(known) + 1)
    if not is_repeat:
        session.add(payment)
        session.flush()
        step.result = {**step.result, "stored": False, "looks": 0}
        if payment.method == PAGE_METHOD:
            hold_for_page(desk, order, now)
    rows.begin(step, now, LEASE)
    look_only = is_over or bool(step.result.get("stored"))
    if not look_only:
        step.result = {**step.result, "asked_at": now.timestamp()}
    to_be_asked: ChargeOrder | PageOrder
    if payment.method == PAGE_METHOD:
        to_be_asked = page_order(session, desk, tenant, order, payment, step)
    else:
        to_be_asked = _charge_order(tenant, order, payment)
    return _Asking(
        to_be_asked,
        payment.id,
        payment.uid,
        step.attempts,
        payment.created_at,
        is_repeat,
        look_only,
        is_over,
    )


def _charge_order(tenant: Tenant, order: Order, payment: Payment) -> ChargeOrder:
    return ChargeOrder(
        key=payment.key or "",
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        method=order.payment_method or "",
        account=payment.provider_account,
        test_mode=payment.test_mode,
        metadata={META_PAYMENT: payment.uid, META_TENANT: tenant.uid, "order": order.code},
    )


def _new_payment(desk: CheckoutDesk, tenant: Tenant, order: Order, number: int) -> Payment:
    return Payment(
        order_id=order.id,
        provider=desk.payments.name,
        method=PAGE_METHOD if order.payment_method == PAGE_METHOD else "card",
        amount_minor=order.total_minor,
        currency=order.currency,
        status="created",
        test_mode=order.test_mode,
        key=f"pay:{tenant.uid}:{order.uid}:{number}",
    )


def _ask(desk: CheckoutDesk, asking: _Asking) -> ChargeAnswer | PageAnswer | None:
    """Return the provider's answer; `None`: it has no such payment, and the key is worn out.

    A page of which we do not know has no address that a buyer could have been led to.
    """
    order = asking.order
    if isinstance(order, PageOrder):
        window = desk.payments.key_window
        fresh = may_repeat(asking.begun_at, desk.clock.now(), window)
        return desk.payments.open_page(order) if fresh and not asking.look_only else None
    if asking.is_repeat:
        try:
            found = desk.payments.charge_of(asking.mark, order.account, test_mode=order.test_mode)
        except ProviderUnavailable as error:
            return Uncertain("look_up_failed", error.why, error.http_status)
        if found is not None:
            return Charged(found)
        window = desk.payments.key_window
        if asking.look_only or not may_repeat(asking.begun_at, desk.clock.now(), window):
            return None
    return desk.payments.charge(order)


def _book(
    session: Session,
    desk: CheckoutDesk,
    order_uid: str,
    asking: _Asking,
    answer: ChargeAnswer | PageAnswer | None,
) -> Outcome:
    now = desk.clock.now()
    mine = select(Order).where(Order.uid == order_uid).with_for_update(key_share=True)
    order = session.scalars(mine).one()
    step = rows.steps_of(session, order.id)[STEP]
    payment = session.get_one(Payment, asking.payment_id, with_for_update={"key_share": True})
    taken = Taken(order, step, rows.event_of(session, order))
    if isinstance(answer, Charged):
        return _charged(session, desk, taken, asking, payment, answer.payment)
    if step.state != "doing" or step.attempts != asking.attempt or payment.status != "created":
        # Somebody else has asked or was told meanwhile: what they know is newer than this.
        return _by_what_is_known(session, desk, taken, now)
    if isinstance(answer, Opened):
        return _opened(session, taken, payment, answer.page, now)
    return _not_taken(session, taken, asking, payment, answer, now)


def _opened(
    session: Session, taken: Taken, payment: Payment, page: PaymentPage, now: datetime
) -> Outcome:
    """Wait for the buyer on the page; of an order that is over meanwhile, have it closed."""
    step = taken.step
    payment.page_ref, payment.status = page.id, "pending"
    payment.look_at = now + FIRST_LOOK
    step.state, step.lease_until = "waiting", None
    step.result = {**step.result, "action_url": page.url, "waits_for": PAGE_METHOD}
    if taken.order.status != "pending":
        # An expired order may still get its money: its chain goes on with it, and not without.
        if taken.order.status in {"cancelled", "failed"}:
            step.state = "dropped"
        session.flush()
        look_soon(session, taken.order, now)
    return "stop"


def _not_taken(
    session: Session,
    taken: Taken,
    asking: _Asking,
    payment: Payment,
    answer: Refused | Busy | Uncertain | None,
    now: datetime,
) -> Outcome:
    step = taken.step
    match answer:
        case Refused(code, text):
            payment.status = "failed"
            return _refused(session, taken, code, text, now)
        case Busy(code, retry_after):
            return rows.put_off(step, now, code, retry_after)
        case Uncertain(code, text, _, replayed):
            return _unknown(session, taken, f"{code}: {text}", now, stored=replayed)
        case None:
            seconds = _until_believed(step, now)
            if asking.is_over and seconds and payment.method != PAGE_METHOD:
                return rows.put_off(step, now, "looked_up_too_early", seconds)
            # It was never made, so another one may be begun, under a key of its own.
            payment.status = "failed"
            return rows.put_off(step, now, "not_made", 1.0)
        case _:
            assert_never(answer)


def _until_believed(step: OrderStep, now: datetime) -> float:
    """Return for how many seconds a payment may still turn up that the search does not find."""
    asked = step.result.get("asked_at")
    return 0.0 if asked is None else max(0.0, float(asked) + BELIEVED_AFTER - now.timestamp())


def _by_what_is_known(session: Session, desk: CheckoutDesk, taken: Taken, now: datetime) -> Outcome:
    paid = [each for each in payments_of(session, taken.order) if each.status == "succeeded"]
    if paid:
        return money_is_in(session, desk, taken, paid, now)
    lease = taken.step.lease_until if taken.step.state == "doing" else None
    return "stop" if lease is None else Wait(max(1.0, (lease - now).total_seconds()))


def _charged(
    session: Session,
    desk: CheckoutDesk,
    taken: Taken,
    asking: _Asking,
    payment: Payment,
    found: ProviderPayment,
) -> Outcome:
    now = desk.clock.now()
    payment.provider_ref = found.id
    if found.status == "succeeded" and payment.status in {"created", "pending", "failed"}:
        payment.status, payment.paid_at = "succeeded", found.created_at
    elif found.status == "pending" and payment.status == "created":
        payment.status, payment.look_at = "pending", now + FIRST_LOOK
    elif found.status == "failed" and payment.status in {"created", "pending"}:
        payment.status = "failed"
    session.flush()
    is_mine = taken.step.state == "doing" and taken.step.attempts == asking.attempt
    if payment.status == "succeeded" or not is_mine:
        return _by_what_is_known(session, desk, taken, now)
    if payment.status == "failed":
        return _refused(session, taken, found.provider_status, found.provider_status, now)
    taken.step.state, taken.step.lease_until = "waiting", None
    action = {"action_url": found.action_url, "waits_for": found.provider_status}
    taken.step.result = {**taken.step.result, **action}
    return "stop"


def _refused(session: Session, taken: Taken, code: str, text: str, now: datetime) -> Outcome:
    """Leave the order as it is: its buyer may pay in another way while its tickets are held."""
    rows.fail(taken.step, now, f"{code}: {text}")
    if taken.order.status == "pending":
        taken.order.problem = code[:128]
    taken.order.payment_method = None
    if code in {"no_provider", "no_test_account", "PermissionError", "AuthenticationError"}:
        needs_attention(session, taken.order, "payments_impossible", now)
    return "stop"


def _unknown(session: Session, taken: Taken, error: str, now: datetime, *, stored: bool) -> Outcome:
    looks = int(taken.step.result.get("looks") or 0) + 1
    was_stored = bool(taken.step.result.get("stored"))
    taken.step.result = {**taken.step.result, "looks": looks, "stored": stored or was_stored}
    if looks == MOST_LOOKS:
        needs_attention(session, taken.order, "payment_unknown", now)
    pause = look_after(min(looks, MOST_LOOKS - 1))
    seconds = pause.total_seconds() if pause else 3600.0
    return rows.put_off(taken.step, now, error, STORED_WAIT if stored else seconds)
