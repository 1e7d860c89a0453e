"""Messages that came while their refund was being sent: looked at again a little later.

By then whoever sent the refund has nearly always written down what the provider answered, and the
message says the same. One look at many of them takes the place of a job for each. What is news
after all (the sender died, or waits for an answer that never came) gets its job.

No message is lost on the way: it stands in the inbox as put off until one of the two is committed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from meet2be import facts
from meet2be.db import Database
from meet2be.payments.errors import BadProviderSignature
from meet2be.payments.facts import ProviderEventReceived
from meet2be.payments.inbox import OLD_NEWS, PUT_OFF, standing_of
from meet2be.payments.ledger import Standing, follow
from meet2be.payments.models import ProviderEvent, Refund
from meet2be.payments.provider import META_REFUND, ProviderRefund
from meet2be.payments.provider import ProviderEvent as Message

PATIENCE = timedelta(seconds=10)
"""How long whoever sends a refund may take from the provider's message to its own commit."""
A_LOOK = 400
"""How many messages are looked at at once."""


def look_at_put_off_tx(
    database: Database, read: Callable[[bytes], Message], now: datetime
) -> tuple[int, int]:
    """Settle what was put off ``PATIENCE`` ago; return how many told nothing new, and how many did.

    ``read`` is the provider's. Harmless when several do it at once.
    """
    before, old, news = now - PATIENCE, 0, 0
    while True:
        known, new = _sorted(database, read, before)
        settled, handed_on = _write(database, known, new, now) if known or new else (0, 0)
        old, news = old + settled, news + handed_on
        if settled + handed_on < A_LOOK:
            return old, news


def _sorted(
    database: Database, read: Callable[[bytes], Message], before: datetime
) -> tuple[list[int], list[int]]:
    """Return messages that tell what the ledger says by now, and the others; locks nothing."""
    row = ProviderEvent
    waiting = (
        select(row.id, row.payload)
        .where(row.result == PUT_OFF, row.received_at <= before)
        .order_by(row.id)
        .limit(A_LOOK)
    )
    with database.system_session("inbox: look at what was put off", read_only=True) as session:
        messages = [
            (number, _refund_told(read, payload)) for number, payload in session.execute(waiting)
        ]
        marks = {told.metadata.get(META_REFUND) for _number, told in messages if told is not None}
        found = session.scalars(select(Refund).where(Refund.uid.in_(marks)))
        standings = {refund.uid: standing_of(refund) for refund in found}
    known: list[int] = []
    new: list[int] = []
    for number, told in messages:
        (known if told is not None and _is_known(standings, told) else new).append(number)
    return known, new


def _is_known(standings: Mapping[str, Standing], told: ProviderRefund) -> bool:
    """Tell whether the ledger says the same, of the very refund that the message is about."""
    standing = standings.get(told.metadata.get(META_REFUND, ""))
    is_same = standing is not None and standing.provider_refund_id == told.id
    return is_same and standing is not None and follow(standing, told.status) is None


def _refund_told(
    read: Callable[[bytes], Message], payload: Mapping[str, Any]
) -> ProviderRefund | None:
    """Return the refund a message tells of; None where it is not readable, as its job will say."""
    try:
        return read(json.dumps(payload).encode()).refund
    except BadProviderSignature:
        return None


def _write(database: Database, known: list[int], new: list[int], now: datetime) -> tuple[int, int]:
    """Settle messages or hand them on to their jobs; return how many of each were left to do."""
    row = ProviderEvent
    with database.system_session("inbox: settle what was put off") as session:
        # In one order, and leaving another relay's alone: two may have read the same ones.
        still = select(row.id).where(row.id.in_([*known, *new]), row.result == PUT_OFF)
        mine = set(session.scalars(still.order_by(row.id).with_for_update(skip_locked=True)))
        old, news = mine.intersection(known), mine.intersection(new)
        unsynchronised = {"synchronize_session": False}
        settled = {"result": OLD_NEWS, "processed_at": now, "tries": row.tries + 1}
        for numbers, values in ((old, settled), (news, {"result": None})):
            statement = update(row).where(row.id.in_(numbers)).values(**values)
            session.execute(statement, execution_options=unsynchronised)
        for number in sorted(news):
            facts.note(session, ProviderEventReceived(number))
        session.commit()
    return len(old), len(news)
