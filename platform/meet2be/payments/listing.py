"""The refund ledger as its pages show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, select
from sqlalchemy.orm import Session

from meet2be.db.keyset import Order, Page, Slice, fetch_merged
from meet2be.orders.models import Order as CustomerOrder
from meet2be.payments.models import REFUND_MODES, REFUND_STATUSES, Payment, Refund, RefundAttempt

NEWEST_FIRST = Order((Refund.id,), descending=True)
MOST_UNCERTAIN = 50


@dataclass(frozen=True, slots=True)
class RefundFilter:
    """Which refunds are wanted; empty strings leave all in.

    ``words`` is an order's code, a key, or the provider's id, whole.
    """

    status: str = ""
    mode: str = ""
    words: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether it leaves everything in."""
        return not (self.status or self.mode or self.words)


@dataclass(frozen=True, slots=True)
class RefundDetails:
    """A refund with its order, its payment and every call that was made for it."""

    refund: Refund
    order: CustomerOrder
    payment: Payment | None
    attempts: list[RefundAttempt]


def known_filter(status: str, mode: str, words: str) -> RefundFilter:
    """Return the filter; words that no refund can have leave all in."""
    return RefundFilter(
        status if status in REFUND_STATUSES else "",
        mode if mode in REFUND_MODES else "",
        words.strip()[:128],
    )


def refunds_page(session: Session, wanted: RefundFilter, part: Slice) -> Page:
    """Return a page of (refund, order's code), the newest first."""
    found = _with_order()
    if wanted.words:
        found = found.where(*_is(wanted.status, wanted.mode))
        by_words = [found.where(each) for each in _named(session, wanted.words)]
        return fetch_merged(session, by_words, NEWEST_FIRST, part, whole_rows=True)
    # The index of modes goes on with the status.
    each_status = REFUND_STATUSES if wanted.mode and not wanted.status else (wanted.status,)
    statements = [found.where(*_is(status, wanted.mode)) for status in each_status]
    return fetch_merged(session, statements, NEWEST_FIRST, part, whole_rows=True)


def _is(status: str, mode: str) -> list[ColumnElement[bool]]:
    asked = ((Refund.status, status), (Refund.mode, mode))
    return [column == value for column, value in asked if value]


def _named(session: Session, words: str) -> list[ColumnElement[bool]]:
    """Return by what the words may name refunds, one by one: no index has all of it."""
    order_id = session.scalar(select(CustomerOrder.id).where(CustomerOrder.code == words))
    names = [Refund.provider_refund_id == words, Refund.idempotency_key == words]
    return names if order_id is None else [*names, Refund.order_id == order_id]


def uncertain_refunds(session: Session) -> list[Any]:
    """Return (refund, order's code) of those nobody knows the fate of, the oldest first."""
    statement = _with_order().where(Refund.status == "uncertain").order_by(Refund.id)
    return list(session.execute(statement.limit(MOST_UNCERTAIN)))


def position_of(session: Session, uid: str) -> tuple[object, ...] | None:
    """Return where a refund stands in the ledger; None when it is not the tenant's."""
    found = session.scalar(select(Refund.id).where(Refund.uid == uid))
    return None if found is None else (found,)


def refund_details(session: Session, uid: str) -> RefundDetails | None:
    """Return one refund of the tenant with everything known about it."""
    row = session.execute(
        select(Refund, CustomerOrder, Payment)
        .join(CustomerOrder, _of_order())
        .outerjoin(
            Payment, and_(Payment.tenant_id == Refund.tenant_id, Payment.id == Refund.payment_id)
        )
        .where(Refund.uid == uid)
    ).one_or_none()
    if row is None:
        return None
    refund, order, payment = row
    attempts = session.scalars(
        select(RefundAttempt).where(RefundAttempt.refund_id == refund.id).order_by(RefundAttempt.n)
    )
    return RefundDetails(refund, order, payment, list(attempts))


def _with_order() -> Select[Refund, str]:
    return select(Refund, CustomerOrder.code).join(CustomerOrder, _of_order())


def _of_order() -> Any:
    return and_(CustomerOrder.tenant_id == Refund.tenant_id, CustomerOrder.id == Refund.order_id)
