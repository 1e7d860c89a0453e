"""The refund ledger: reserve before sending, book what is known, never more than came in.

The functions work on many refunds at a time inside the caller's transaction and do not commit.
They are Core on the session's connection, each statement with its tenant: ORM bulk statements
would double the cost of a refund. Order of locks: refunds, then payments by id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, assert_never

from sqlalchemy import Connection

from meet2be.db.columns import new_uid
from meet2be.payments import statements as sql
from meet2be.payments.ledger import (
    ACCOUNT_TROUBLE,
    ALREADY_REFUNDED,
    NOT_MADE,
    STORED_ERROR,
    Change,
    Standing,
    close,
    follow,
)
from meet2be.payments.provider import META_REFUND, ProviderRefund
from meet2be.payments.verdicts import (
    Declined,
    Later,
    NotMade,
    RefundedElsewhere,
    Ruling,
    Told,
    Unknown,
    attempt_word,
)

LEASE = timedelta(seconds=120)
EXCERPT = 500


class LedgerConflict(Exception):
    """Payments changed between reading and reserving; nothing of the transaction may stand."""


@dataclass(frozen=True, slots=True)
class NewRefund:
    """A refund to be opened; the amount (minor units) is frozen from here on."""

    payment_id: int
    payment_uid: str
    order_id: int
    invoice_id: int | None
    amount_minor: int
    currency: str
    seq: int
    provider: str
    run_id: int | None = None
    lane: int | None = None
    source: str = "cancel_run"
    requested_by: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class OpenRefund:
    """A refund that is reserved and claimed: it may be sent under `key`."""

    id: int
    uid: str
    key: str
    new: NewRefund


@dataclass(frozen=True, slots=True)
class Booked:
    """What became of a refund in this transaction; `before` equals `status` for old news."""

    id: int
    uid: str
    payment_id: int
    run_id: int | None
    order_id: int
    invoice_id: int | None
    amount_minor: int
    currency: str
    before: str
    status: str
    code: str | None
    text: str | None
    credit_note_id: int | None
    by_hand: bool = False


def refund_key(tenant_uid: str, payment_uid: str, seq: int) -> str:
    """Return the idempotency key of a payment's refund number `seq`."""
    return f"rf:{tenant_uid}:{payment_uid}:{seq}"


def open_refunds(
    connection: Connection,
    tenant: tuple[int, str],
    new: Sequence[NewRefund],
    now: datetime,
    token: str,
) -> list[OpenRefund]:
    """Reserve the money, write the refunds as `sending` and their first attempts.

    `tenant` is (id, uid), `token` says who holds them. The caller has locked the payments and
    checked what they have left; raises ``LedgerConflict`` if that was not so.
    """
    if not new:
        return []
    tenant_id, tenant_uid = tenant
    moved = [
        {"tenant": tenant_id, "payment": each.payment_id, "amount": each.amount_minor, "now": now}
        for each in sorted(new, key=lambda each: each.payment_id)
    ]
    if sql.RESERVE.run_many(connection, moved) != len(moved):
        raise LedgerConflict("a payment has less left than was read")
    rows = [_row(tenant_id, tenant_uid, each, now, token) for each in new]
    inserted = {row.uid: row.id for row in connection.execute(sql.INSERT_REFUNDS, rows)}
    ids = [inserted[row["uid"]] for row in rows]
    sql.INSERT_ATTEMPTS.run_many(
        connection,
        [{"tenant": tenant_id, "refund": each, "number": 1, "now": now} for each in ids],
    )
    return [
        OpenRefund(refund_id, row["uid"], row["idempotency_key"], each)
        for refund_id, row, each in zip(ids, rows, new, strict=True)
    ]


def next_seqs(connection: Connection, tenant_id: int, payments: Sequence[int]) -> dict[int, int]:
    """Return for each payment the number its next refund gets."""
    parameters = {"tenant": tenant_id, "payments": list(payments)}
    found = connection.execute(sql.LAST_SEQS, parameters)
    last = {payment: int(seq) for payment, seq in found}
    return {payment: last.get(payment, 0) + 1 for payment in payments}


def book(
    connection: Connection, tenant_id: int, rulings: Sequence[Ruling], now: datetime
) -> list[Booked]:
    """Write down what is known of each refund now, and move the money with it.

    A refund that somebody else has settled meanwhile (an event of the provider) keeps what it
    has; the attempt is closed all the same. Returns one `Booked` a ruling, in order.
    """
    if not rulings:
        return []
    parameters = {"tenant": tenant_id, "refunds": [ruling.refund_id for ruling in rulings]}
    rows = {row.id: row for row in connection.execute(sql.LOCK_REFUNDS, parameters)}
    writing = _Writing(tenant_id, now)
    booked = [writing.rule(rows[ruling.refund_id], ruling) for ruling in rulings]
    writing.execute(connection)
    return booked


class _Writing:
    """Collects what a group of rulings changes and writes it in one statement a table."""

    def __init__(self, tenant_id: int, now: datetime) -> None:
        self._tenant, self._now = tenant_id, now
        self._refunds: list[dict[str, Any]] = []
        self._money: dict[int, list[int]] = {}
        self._attempts: list[dict[str, Any]] = []

    def rule(self, row: Any, ruling: Ruling) -> Booked:
        standing = Standing(
            row.id, row.uid, row.payment_id, row.amount_minor, row.status,
            row.provider_refund_id, row.failure_code, row.sent_at,
        )  # fmt: skip
        change, values = _changes(standing, ruling, self._now)
        if change is not None:
            self._move(standing.payment_id, change)
        status = change.status if change is not None else str(row.status)
        if values is not None:
            kept = {name: getattr(row, name) for name in sql.REFUND_VALUES}
            new = {**kept, **values, "status": status}
            key = {"tenant": self._tenant, "refund": row.id, "now": self._now}
            self._refunds.append({**key, **{f"v_{name}": value for name, value in new.items()}})
        self._close_attempt(ruling)
        found = values or {}
        return Booked(
            row.id, row.uid, row.payment_id, row.run_id, row.order_id, row.invoice_id,
            row.amount_minor, row.currency, row.status, status,
            found.get("failure_code"), found.get("failure_text"), row.credit_note_id,
        )  # fmt: skip

    def execute(self, connection: Connection) -> None:
        sql.UPDATE_REFUNDS.run_many(connection, self._refunds)
        if self._money:
            moved = [
                {
                    "tenant": self._tenant, "payment": payment, "reserved": move[0],
                    "back": move[1], "now": self._now,
                }
                for payment, move in sorted(self._money.items())
            ]  # fmt: skip
            if sql.MOVE_MONEY.run_many(connection, moved) != len(moved):
                raise LedgerConflict("a payment of a refund is gone")
        sql.CLOSE_ATTEMPTS.run_many(connection, self._attempts)

    def _move(self, payment: int, change: Change) -> None:
        if change.reserved or change.refunded:
            move = self._money.setdefault(payment, [0, 0])
            move[0] += change.reserved
            move[1] += change.refunded

    def _close_attempt(self, ruling: Ruling) -> None:
        if not ruling.attempt:
            return
        outcome, http_status, code, text = attempt_word(ruling.verdict)
        self._attempts.append(
            {
                "tenant": self._tenant,
                "refund": ruling.refund_id,
                "number": ruling.attempt,
                "now": self._now,
                "v_outcome": outcome,
                "v_http_status": http_status,
                "v_provider_code": code,
                "v_excerpt": text and text[:EXCERPT],
            }
        )


def _changes(
    standing: Standing, ruling: Ruling, now: datetime
) -> tuple[Change | None, dict[str, Any] | None]:
    """Return how money and status move, and which columns are written (None: nothing)."""
    verdict = ruling.verdict
    if isinstance(verdict, Unknown | Later):
        return _put_off(standing, verdict)
    change: Change | None
    match verdict:
        case Told(refund):
            change = follow(standing, refund.status)
            values = None if change is None else _told(refund, change, now)
        case Declined(code, text, _, provider_id):
            change = close(standing, "failed")
            values = _ended(now, ACCOUNT_TROUBLE if verdict.account_trouble else code, text)
            if provider_id is not None:
                values["provider_refund_id"] = provider_id
        case NotMade(why):
            change, values = close(standing, "failed"), _ended(now, NOT_MADE, why)
        case RefundedElsewhere(text):
            change, values = close(standing, "cancelled"), _ended(now, ALREADY_REFUNDED, text)
        case _:
            assert_never(verdict)
    return change, None if change is None else values


def _put_off(
    standing: Standing, verdict: Unknown | Later
) -> tuple[Change | None, dict[str, Any] | None]:
    if standing.status not in {"sending", "uncertain"}:
        return None, None
    if isinstance(verdict, Later):
        still = Change(standing.status, 0, 0)
        return still, {"lease_until": verdict.at, "lease_token": None}
    known = STORED_ERROR if verdict.stored else standing.failure_code
    return Change("uncertain", 0, 0), {
        "failure_code": known or verdict.code,
        "failure_text": verdict.text[:EXCERPT],
        "lease_until": verdict.look_at,
        "lease_token": None,
    }


def _told(refund: ProviderRefund, change: Change, now: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {
        "provider_refund_id": refund.id,
        "provider_status": refund.provider_status,
        "pending_reason": refund.pending_reason,
        "lease_token": None,
        "lease_until": None,
        "settled_at": now if change.status != "pending" else None,
        "failure_code": None,
        "failure_text": None,
    }
    if change.status == "failed":
        values["failure_code"] = refund.failure_code or refund.provider_status
        values["failure_text"] = f"The provider ended the refund as '{refund.provider_status}'"
    return values


def _ended(now: datetime, code: str, text: str) -> dict[str, Any]:
    return {
        "failure_code": code[:128], "failure_text": text[:EXCERPT], "lease_token": None,
        "lease_until": None, "settled_at": now,
    }  # fmt: skip


def _row(
    tenant_id: int, tenant_uid: str, new: NewRefund, now: datetime, token: str
) -> dict[str, Any]:
    return {
        "uid": new_uid(),
        "tenant_id": tenant_id,
        "payment_id": new.payment_id,
        "invoice_id": new.invoice_id,
        "order_id": new.order_id,
        "run_id": new.run_id,
        "lane": new.lane,
        "seq": new.seq,
        "amount_minor": new.amount_minor,
        "currency": new.currency,
        "mode": "auto",
        "source": new.source,
        "status": "sending",
        "idempotency_key": refund_key(tenant_uid, new.payment_uid, new.seq),
        "provider": new.provider,
        "requested_by": new.requested_by,
        "reason": new.reason,
        "lease_token": token,
        "lease_until": now + LEASE,
        "sent_at": now,
    }


def record_external(
    connection: Connection,
    tenant_id: int,
    payment_id: int,
    found: Sequence[ProviderRefund],
    now: datetime,
) -> int:
    """Write refunds that others made at the provider as rows of their own; returns how many.

    Those that carry our mark, are known already or came to nothing are passed over. What they
    add to the payment never exceeds what it has left: the provider's own limit is the same.
    """
    parameters = {"tenant": tenant_id, "payment": payment_id}
    payment = connection.execute(sql.LOCK_PAYMENT, parameters).one()
    known = set(connection.execute(sql.PROVIDER_IDS, parameters).scalars())
    seq = next_seqs(connection, tenant_id, [payment_id])[payment_id]
    left = payment.amount_minor - payment.reserved_minor - payment.refunded_minor
    written = 0
    for refund in found:
        ours = META_REFUND in refund.metadata or refund.id in known
        amount = min(refund.amount_minor, left)
        if ours or amount <= 0 or refund.status not in {"succeeded", "pending"}:
            continue
        left -= amount
        row = _external_row(tenant_id, payment, refund, amount, seq + written, now)
        connection.execute(sql.INSERT_REFUNDS, [row])
        done = refund.status == "succeeded"
        move = {"reserved": 0 if done else amount, "back": amount if done else 0}
        sql.MOVE_MONEY.run(connection, {**parameters, **move, "now": now})
        written += 1
    return written


def _external_row(
    tenant_id: int, payment: Any, refund: ProviderRefund, amount: int, seq: int, now: datetime
) -> dict[str, Any]:
    return {
        "uid": new_uid(), "tenant_id": tenant_id, "payment_id": payment.id,
        "invoice_id": payment.invoice_id, "order_id": payment.order_id, "run_id": None,
        "lane": None, "seq": seq, "amount_minor": amount, "currency": payment.currency,
        "mode": "external", "source": "provider", "status": refund.status,
        "idempotency_key": f"external:{payment.provider}:{refund.id}",
        "provider": payment.provider, "provider_refund_id": refund.id,
        "provider_status": refund.provider_status, "pending_reason": refund.pending_reason,
        "requested_by": None, "reason": "made at the provider", "lease_token": None,
        "lease_until": None, "sent_at": refund.created_at,
        "settled_at": now if refund.status == "succeeded" else None,
    }  # fmt: skip
