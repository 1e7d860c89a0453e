"""A lane in the hands of one worker: its fence, and how the run stands for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from meet2be.cancellations import statements as sql
from meet2be.cancellations.claiming import Task, refund_order
from meet2be.cancellations.context import RunContext
from meet2be.cancellations.errors import LaneLost
from meet2be.cancellations.settling import pause_run
from meet2be.cancellations.sources import circuit_name
from meet2be.language import N_
from meet2be.payments import circuit
from meet2be.payments.circuit import Circuit
from meet2be.payments.services import LEASE
from meet2be.payments.statements import INSERT_ATTEMPTS, LAST_ATTEMPTS

HALF_OPEN_WAIT = timedelta(seconds=5)
Mode = Literal["work", "probe", "follow", "wait", "over"]


@dataclass(slots=True)
class Looking:
    """How far the worker that ends a run has looked for postage: the next order's number."""

    first: int = 0


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane under the fence that its present worker raised."""

    context: RunContext
    lane: int
    fence: int
    looking: Looking = field(default_factory=Looking, compare=False)

    @property
    def token(self) -> str:
        """Return who holds what this worker claims; earlier workers' tokens differ."""
        return f"{self.context.run_id}.{self.lane}.{self.fence}"

    @property
    def key(self) -> dict[str, Any]:
        """Return the parameters that name the lane in statements."""
        return {**self.run_key, "of_lane": self.lane}

    @property
    def run_key(self) -> dict[str, Any]:
        """Return the parameters that name the run in statements."""
        context = self.context
        return {"tenant": context.tenant_id, "run": context.run_id}

    def hold(self, connection: Connection, state: str = "running") -> None:
        """Hold the lane to the end of the transaction; raises ``LaneLost`` if it was taken over."""
        held = connection.execute(
            sql.HOLD_LANE, {**self.key, "of_fence": self.fence, "lane_state": state}
        )
        if held.rowcount != 1:
            raise LaneLost(self.context.run_id, self.lane, self.fence)


def take_lane(
    connection: Connection, context: RunContext, lane: int, job: str, now: datetime
) -> Lane:
    """Raise the lane's fence and return it; raises ``LaneLost`` if the run has no such lane."""
    parameters = {
        "tenant": context.tenant_id, "run": context.run_id, "of_lane": lane, "job": job,
        "now": now,
    }  # fmt: skip
    fence = connection.execute(sql.TAKE_LANE, parameters).scalar_one_or_none()
    if fence is None:
        raise LaneLost(context.run_id, lane, 0)
    return Lane(context, lane, int(fence))


@dataclass(frozen=True, slots=True)
class Standing:
    """What the lane may do now, and if it has to wait, until when."""

    mode: Mode
    why: str = ""
    until: datetime | None = None


def standing(session: Session, lane: Lane, now: datetime) -> Standing:
    """Return how the run stands; pauses or resumes it where tenant or provider ask for it."""
    connection, context = session.connection(), lane.context
    row = connection.execute(sql.READ_RUN, lane.run_key).one()
    if row.state not in {"confirmed", "running", "sweeping", "paused", "aborted"}:
        return Standing("over", str(row.state))
    if row.state == "aborted":
        return Standing("follow" if row.finished_at is None else "over", "aborted")
    if row.status != "active" and row.state != "paused":
        reason = N_("The tenant is suspended")
        pause_run(connection, context, now, code="tenant_suspended", reason=reason)
        return Standing("follow", "tenant_suspended")
    if row.state == "paused" and row.pause_code != "provider":
        return Standing("follow", str(row.pause_code))
    return _by_provider(connection, lane, now, state=row.state)


def _by_provider(connection: Connection, lane: Lane, now: datetime, *, state: str) -> Standing:
    found = circuit.worst(connection, lane.context.accounts)
    if found is not None:
        return _broken(connection, lane, *found, now)
    if state == "confirmed":
        connection.execute(sql.START_RUN, {**lane.run_key, "now": now})
    if state == "paused":
        connection.execute(sql.UNPAUSE_RUN, {**lane.run_key, "now": now})
    return Standing("work")


def _broken(
    connection: Connection, lane: Lane, name: str, found: Circuit, now: datetime
) -> Standing:
    reason = found.reason or N_("the provider does not answer")
    if circuit.take_probe(connection, name, lane.token, now):
        return Standing("probe", reason)
    until = found.retry_at if found.state == "open" and found.retry_at else now + HALF_OPEN_WAIT
    if not pause_run(connection, lane.context, now, code="provider", reason=reason, until=until):
        connection.execute(sql.PUT_OFF_RUN, {**lane.run_key, "reason": reason, "until": until})
    return Standing("wait", reason, max(until, now + HALF_OPEN_WAIT))


def claim_due(connection: Connection, lane: Lane, now: datetime, limit: int) -> list[Task]:
    """Claim refunds of this lane that nobody is working on, to be looked up first."""
    rows = connection.execute(
        sql.DUE_REFUNDS, {**lane.key, "token": lane.token, "now": now, "limit": limit}
    ).all()
    if not rows:
        return []
    tenant, ids = lane.context.tenant_id, [row.id for row in rows]
    found = connection.execute(LAST_ATTEMPTS, {"tenant": tenant, "refunds": ids})
    attempts = dict.fromkeys(ids, 1) | {refund: int(last) + 1 for refund, last in found}
    connection.execute(
        sql.CLAIM_REFUNDS,
        [
            {"tenant": tenant, "refund": each, "token": lane.token, "until": now + LEASE}
            for each in ids
        ],
    )
    INSERT_ATTEMPTS.run_many(
        connection,
        [
            {"tenant": tenant, "refund": refund, "number": number, "now": now}
            for refund, number in attempts.items()
        ],
    )
    known = _known_ids(connection, tenant, rows)
    return [_to_look_up(lane.context, row, attempts[row.id], known, now) for row in rows]


def _to_look_up(
    context: RunContext, row: Any, attempt: int, known: list[tuple[int, int, str]], now: datetime
) -> Task:
    order = refund_order(context, row, row.uid, row.idempotency_key, row.amount_minor, row.currency)
    return Task(
        refund_id=row.id,
        refund_uid=row.uid,
        attempt=attempt,
        order=order,
        circuit=circuit_name(row.payment_provider, row.provider_account),
        sent_at=row.sent_at or now,
        resolve=True,
        failure_code=row.failure_code,
        known_ids=frozenset(
            provider_id
            for refund, payment, provider_id in known
            if payment == row.payment_id and refund != row.id
        ),
    )


def _known_ids(
    connection: Connection, tenant: int, rows: Sequence[Any]
) -> list[tuple[int, int, str]]:
    payments = sorted({row.payment_id for row in rows})
    found = connection.execute(sql.KNOWN_PROVIDER_IDS, {"tenant": tenant, "payments": payments})
    return [(row.id, row.payment_id, row.provider_refund_id) for row in found]


def next_look(connection: Connection, lane: Lane) -> datetime | None:
    """Return when the lane's next refund under way is to be looked up; None: there is none."""
    count, at = connection.execute(sql.NEXT_LOOK, lane.key).one()
    return at if count else None
