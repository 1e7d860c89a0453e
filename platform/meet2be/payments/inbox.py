"""The inbox of a provider's messages: verified, kept once for ever, acted upon by a job.

A message may come early, twice, late or out of order; that it was seen is remembered in a table,
not in a cache, so a repeat after a year is still a repeat.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.payments.facts import ProviderEventReceived
from meet2be.payments.ledger import Standing, follow
from meet2be.payments.models import ProviderEvent, Refund
from meet2be.payments.provider import META_REFUND, PaymentProvider
from meet2be.payments.provider import ProviderEvent as Message

# What became of a message.
IGNORED = "ignored"
OLD_NEWS = "old_news"
UNMATCHED = "unmatched"
CONFLICT = "conflict"
GAVE_UP = "gave_up"


@dataclass(frozen=True, slots=True)
class Received:
    """A stored message; `is_new` is False for a repeat, which causes nothing."""

    row_id: int
    is_new: bool
    result: str | None


def receive(
    session: Session, provider: PaymentProvider, payload: bytes, signature: str, now: datetime
) -> Received:
    """Store a message if the provider signed it and it is new; the caller commits.

    `session` is a system session. Notes ``ProviderEventReceived`` when there is something to do.
    Raises ``BadProviderSignature``.
    """
    message = provider.verify(payload, signature)
    result = _known_without_work(session, provider.name, message)
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    insertion: Any = dialect.insert(ProviderEvent).values(
        provider=provider.name,
        account=message.account,
        event_id=message.id,
        type=message.type,
        payload=json.loads(payload),
        received_at=now,
        processed_at=now if result else None,
        result=result,
    )
    unseen = insertion.on_conflict_do_nothing().returning(ProviderEvent.id)
    row_id = session.scalar(unseen)
    if row_id is None:
        return _repeat(session, provider.name, message.id)
    if result is None:
        facts.note(session, ProviderEventReceived(row_id))
    return Received(row_id, is_new=True, result=result)


def _repeat(session: Session, provider: str, event_id: str) -> Received:
    row = session.scalars(
        select(ProviderEvent).where(
            ProviderEvent.provider == provider, ProviderEvent.event_id == event_id
        )
    ).one()
    return Received(row.id, is_new=False, result=row.result)


def _known_without_work(session: Session, provider: str, message: Message) -> str | None:
    """Return the result of a message that tells nothing new, so that no job runs for it."""
    if message.kind == "other":
        return IGNORED
    if message.refund is None:
        return None
    refund = _by_its_id(session, provider, message.refund.id)
    if refund is None:
        return None
    return None if follow(standing_of(refund), message.refund.status) else OLD_NEWS


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
