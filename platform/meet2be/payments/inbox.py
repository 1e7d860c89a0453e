"""The inbox of a provider's messages: verified, kept once for ever, acted upon by a job.

A message may come early, twice, late or out of order; that it was seen is remembered in a table,
not in a cache, so a repeat after a year is still a repeat.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, CursorResult, select, update
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.db import Database
from meet2be.payments import statements as sql
from meet2be.payments.facts import ProviderEventReceived
from meet2be.payments.ledger import Standing, follow
from meet2be.payments.models import ProviderEvent, Refund
from meet2be.payments.provider import META_REFUND, PaymentProvider, ProviderRefund
from meet2be.payments.provider import ProviderEvent as Message

# What became of a message.
IGNORED = "ignored"
OLD_NEWS = "old_news"
UNMATCHED = "unmatched"
CONFLICT = "conflict"
GAVE_UP = "gave_up"
# Not processed yet: whoever sends the refund is about to write down what the message tells.
PUT_OFF = "put_off"
KEEP = "inbox: keep a provider's message"


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a message that came in; `is_new` is False for a repeat, which causes nothing.

    `row_id` is its number where something is still to be done about it.
    """

    is_new: bool
    result: str | None
    row_id: int | None = None


def receive_tx(
    database: Database, provider: PaymentProvider, payload: bytes, signature: str
) -> Received:
    """Store a message if the provider signed it and it is new; raises ``BadProviderSignature``.

    What it tells is compared with the ledger, of which nothing is locked. Most of the messages come
    while the worker that caused them has not yet written down the same: these are put off
    (`meet2be.payments.put_off`). What has news for us notes ``ProviderEventReceived``, which
    causes a job. Kinds that we have no use for are thanked for and forgotten.
    """
    message = provider.verify(payload, signature)
    if message.kind == "other":
        return Received(is_new=False, result=IGNORED)
    now = database.clock.now()
    values = {
        "provider": provider.name,
        "account": message.account,
        "event_id": message.id,
        "type": message.type,
        "payload": json.loads(payload),
        "received_at": now,
    }
    if message.refund is not None:
        received = _keep_old_news(database, values, message.refund)
        if received is not None:
            return received
    return _keep_news(database, {**values, "processed_at": None, "result": None})


def _keep_old_news(
    database: Database, values: dict[str, Any], told: ProviderRefund
) -> Received | None:
    """Store a message that needs no job of its own; None, and nothing stored, for one that does.

    In one short transaction: what is looked at is found by its key, and nothing of it is locked.
    """
    now = values["received_at"]
    with database.system_connection(KEEP) as connection, connection.begin():
        result = _without_work(connection, values["provider"], told, now)
        if result is None:
            return None
        processed_at = now if result == OLD_NEWS else None
        values = {**values, "processed_at": processed_at, "result": result}
        is_new = sql.KEEP_MESSAGE[connection.dialect.name].run(connection, values) == 1
    return Received(is_new, result)


def _keep_news(database: Database, values: dict[str, Any]) -> Received:
    """Store a message with the job that acts upon it."""
    with database.system_session(KEEP) as session:
        connection = session.connection()
        if sql.KEEP_MESSAGE[connection.dialect.name].run(connection, values) != 1:
            return Received(is_new=False, result=None)
        row_id = session.scalars(
            select(ProviderEvent.id).where(
                ProviderEvent.provider == values["provider"],
                ProviderEvent.event_id == values["event_id"],
            )
        ).one()
        facts.note(session, ProviderEventReceived(row_id))
        session.commit()
    return Received(is_new=True, result=None, row_id=row_id)


def _without_work(
    connection: Connection, provider: str, told: ProviderRefund, now: datetime
) -> str | None:
    """Return the result of a message that needs no job of its own, None for one that does.

    A refund goes one way only, so what is old news by this look will not be news later.
    """
    found = _looked_at(connection, provider, told)
    if found is None:
        return None
    standing, lease_until = found
    if follow(standing, told.status) is None:
        return OLD_NEWS
    in_hand = standing.status == "sending" and standing.provider_refund_id is None
    return PUT_OFF if in_hand and lease_until is not None and lease_until > now else None


def _looked_at(
    connection: Connection, provider: str, told: ProviderRefund
) -> tuple[Standing, datetime | None] | None:
    """Return how a refund stands and until when somebody has it in hand: by our mark, or its id.

    None: there is none, or our mark is on another one than the ledger knows of.
    """
    mark = told.metadata.get(META_REFUND)
    rows = sql.STANDING_BY_MARK.rows(connection, {"mark": mark}) if mark else []
    if not rows or rows[0][5] not in {None, told.id}:
        rows = sql.STANDING_BY_ID.rows(connection, {"provider": provider, "told": told.id})
    return (Standing(*rows[0][:-1]), rows[0][-1]) if rows else None


def standing_of(refund: Refund) -> Standing:
    """Return how a refund stands, for the ledger's rules."""
    return Standing(
        refund.id,
        refund.uid,
        refund.payment_id or 0,
        refund.amount_minor,
        refund.status,
        refund.provider_refund_id,
        refund.failure_code,
        refund.sent_at,
    )


def _by_its_id(session: Session, provider: str, refund_id: str) -> Refund | None:
    """Return the refund with the provider's id; named with the provider, it is in an index."""
    return session.scalar(
        select(Refund).where(Refund.provider == provider, Refund.provider_refund_id == refund_id)
    )


def refund_of(session: Session, provider: str, message: Message) -> Refund | None:
    """Return the ledger's row of a message: by the provider's id, else by our mark on it."""
    if message.refund is None:
        return None
    found = _by_its_id(session, provider, message.refund.id)
    mark = message.refund.metadata.get(META_REFUND)
    if found is None and mark:
        found = session.scalar(select(Refund).where(Refund.uid == mark))
    return found


def mark(
    session: Session, row_id: int, result: str, now: datetime, error: str | None = None
) -> bool:
    """Write what became of a message; False when it had been acted upon before."""
    changed = session.execute(
        update(ProviderEvent)
        .where(ProviderEvent.id == row_id, ProviderEvent.processed_at.is_(None))
        .values(
            processed_at=now, result=result, error=error and error[:2000],
            tries=ProviderEvent.tries + 1,
        )
    )  # fmt: skip
    return cast("CursorResult[Any]", changed).rowcount == 1
