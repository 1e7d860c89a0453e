"""The second half of a chunk: book what is known and everything that follows, in one commit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from meet2be.cancellations import statements as sql
from meet2be.cancellations.claiming import Task
from meet2be.cancellations.context import RunContext
from meet2be.cancellations.items import follow, reopen
from meet2be.payments import circuit
from meet2be.payments.ledger import OPEN
from meet2be.payments.services import Booked, book, record_external
from meet2be.payments.verdicts import (
    Declined,
    Later,
    RefundedElsewhere,
    Ruling,
    Unknown,
    Verdict,
)


def settle(
    session: Session,
    context: RunContext,
    tasks: Mapping[int, Task],
    rulings: Sequence[Ruling],
    now: datetime,
) -> circuit.Circuit | None:
    """Book rulings with all that follows; returns a circuit that has opened by them.

    The caller holds the lane in this transaction, and commits.
    """
    connection = session.connection()
    booked = book(connection, context.tenant_id, rulings, now)
    _record_externals(connection, context, rulings, booked, now)
    again = follow(session, context, booked, now)
    reopen(connection, context, again, {})
    return _tell_circuits(connection, tasks, rulings, now)


def _record_externals(
    connection: Connection,
    context: RunContext,
    rulings: Sequence[Ruling],
    booked: Sequence[Booked],
    now: datetime,
) -> None:
    for ruling, refund in zip(rulings, booked, strict=True):
        if isinstance(ruling.verdict, RefundedElsewhere) and refund.before in OPEN:
            record_external(
                connection, context.tenant_id, refund.payment_id, ruling.verdict.found, now
            )


def _tell_circuits(
    connection: Connection, tasks: Mapping[int, Task], rulings: Sequence[Ruling], now: datetime
) -> circuit.Circuit | None:
    by_name: defaultdict[str, list[Verdict]] = defaultdict(list)
    for ruling in rulings:
        by_name[tasks[ruling.refund_id].circuit].append(ruling.verdict)
    opened = None
    for name in sorted(by_name):
        found = circuit.record(connection, name, outcomes_of(by_name[name]), now)
        opened = opened or found
    return opened


def outcomes_of(verdicts: Sequence[Verdict]) -> circuit.Outcomes:
    """Return what verdicts tell about the provider's account: whether it answers and serves us."""
    letters, reason, trouble = "", "", False
    for verdict in verdicts:
        match verdict:
            case Later():
                continue
            case Unknown(code, text, is_outage=True):
                letters += circuit.FAILURE
                reason = f"{code}: {text}"
            case Declined(code, text, account_trouble=True):
                letters += circuit.FAILURE
                reason, trouble = f"{code}: {text}", True
            case _:
                letters += circuit.SUCCESS
    return circuit.Outcomes(letters, reason, trouble)


def pause_run(
    connection: Connection,
    context: RunContext,
    now: datetime,
    *,
    code: str,
    reason: str,
    until: datetime | None = None,
) -> bool:
    """Pause the run unless it is paused or over; tells whether it was this call that did."""
    parameters: dict[str, Any] = {
        "tenant": context.tenant_id, "run": context.run_id, "now": now, "code": code,
        "reason": reason, "until": until,
    }  # fmt: skip
    return connection.execute(sql.PAUSE_RUN, parameters).rowcount == 1
