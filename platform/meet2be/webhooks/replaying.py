"""Sending again: one delivery, all that match, what was held back; and the test.

A replay is a delivery of its own, with the same body and webhook-id and a number of its own. It
goes to the endpoint's present address. Many are made slice by slice by a job, so that ten thousand
do not come down on a receiver at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Select, and_, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.audit.services import record
from meet2be.db import clock_of, tenant_of
from meet2be.db.columns import new_uid
from meet2be.language import Message
from meet2be.webhooks import spreading
from meet2be.webhooks.bodies import unique_key
from meet2be.webhooks.catalogue import PING, TEST
from meet2be.webhooks.endpoints import Workbench, endpoint_of
from meet2be.webhooks.errors import DeliveryNotFoundError, NotNowError
from meet2be.webhooks.facts import DeliveriesReady, Ready, ReplayAsked
from meet2be.webhooks.models import (
    IS_ON_ITS_WAY,
    ON_ITS_WAY,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)

A_SLICE: Final = 200
"""Replays made in one go; the next slice comes after `PAUSE` seconds."""
PAUSE: Final = 4.0
OVERDUE: Final = timedelta(minutes=15)
KEPT: Final = timedelta(days=90)
"""How long attempts and settled deliveries are kept."""
PRUNED: Final = 1000
REPLAYABLE: Final = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Filters:
    """Which deliveries: of one endpoint, one type, these statuses, and made in this time."""

    endpoint_id: int | None = None
    type: str | None = None
    statuses: Sequence[str] = field(default=())
    since: datetime | None = None
    until: datetime | None = None

    def narrow(self, statement: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
        """Return the statement with the conditions that are given."""
        row = WebhookDelivery
        if self.endpoint_id is not None:
            statement = statement.where(row.endpoint_id == self.endpoint_id)
        if self.type:
            statement = statement.where(row.type == self.type)
        if self.statuses:
            statement = statement.where(row.status.in_(self.statuses))
        if self.since is not None:
            statement = statement.where(row.created_at >= self.since)
        if self.until is not None:
            statement = statement.where(row.created_at <= self.until)
        return statement


def delivery_of(session: Session, uid: str, *, lock: bool = False) -> WebhookDelivery:
    """Return a delivery; raises ``DeliveryNotFoundError``."""
    statement = select(WebhookDelivery).where(WebhookDelivery.uid == uid)
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    found = session.scalar(statement)
    if found is None:
        raise DeliveryNotFoundError
    return found


def replay_one(session: Session, bench: Workbench, uid: str) -> WebhookDelivery:
    """Return the new delivery; raises ``NotNowError`` while one is on its way. Commits nothing."""
    old = delivery_of(session, uid)
    if old.is_test:
        raise NotNowError(Message("A test is not replayed. Send another one."))
    endpoint = session.get_one(WebhookEndpoint, old.endpoint_id)
    if endpoint.status not in {"enabled", "paused"}:
        raise NotNowError(Message("The endpoint is switched off. Switch it on first."))
    made = _replays(session, [old], {endpoint.id: endpoint}, bench.user_id)
    if not made:
        raise NotNowError(Message("This is on its way already."))
    record(session, bench.actor, "webhook_delivery.replayed", "webhook_delivery", uid)
    return session.scalars(
        select(WebhookDelivery).where(
            WebhookDelivery.endpoint_id == old.endpoint_id,
            WebhookDelivery.webhook_event_id == old.webhook_event_id,
        ).order_by(WebhookDelivery.replay_no.desc()).limit(1)
    ).one()  # fmt: skip


def count_replayable(session: Session, filters: Filters, most: int = 10_000) -> int:
    """Return how many deliveries a replay of these would send, at most ``most``."""
    inner = filters.narrow(_replayable(select(WebhookDelivery.id))).limit(most).subquery()
    return session.scalar(select(func.count()).select_from(inner)) or 0


def ask_for_replay(session: Session, bench: Workbench, filters: Filters) -> None:
    """Let all that match now be sent again, slice by slice. The caller commits."""
    last = session.scalar(select(func.max(WebhookDelivery.id))) or 0
    statuses = tuple(filters.statuses) or REPLAYABLE
    record(
        session, bench.actor, "webhook_deliveries.replayed", "webhook_deliveries",
        filters.endpoint_id or "all", after={"statuses": list(statuses), "type": filters.type},
    )  # fmt: skip
    tenant = tenant_of(session) or 0
    facts.note(
        session,
        ReplayAsked(
            tenant, bench.user_id, filters.endpoint_id, statuses, filters.type,
            _written(filters.since),
            _written(filters.until), last,
        ),
    )  # fmt: skip


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def replay_slice(
    session: Session, filters: Filters, user_id: int | None, after: int, last: int
) -> int | None:
    """Make the next replays; returns after which row to go on, None at the end."""
    rows = session.scalars(
        filters.narrow(_replayable(select(WebhookDelivery)))
        .where(WebhookDelivery.id > after, WebhookDelivery.id <= last)
        .order_by(WebhookDelivery.id)
        .limit(A_SLICE)
    ).all()
    endpoints = {
        each.id: each
        for each in session.scalars(
            select(WebhookEndpoint).where(WebhookEndpoint.status.in_(("enabled", "paused")))
        )
    }
    _replays(session, rows, endpoints, user_id)
    return rows[-1].id if len(rows) == A_SLICE else None


def resume_slice(session: Session, endpoint_id: int) -> bool:
    """Let jobs send the next deliveries that were held back; tells whether there are more."""
    endpoint = session.get(WebhookEndpoint, endpoint_id)
    if endpoint is None or endpoint.status != "enabled":
        return False
    rows = session.execute(
        select(WebhookDelivery.id, WebhookDelivery.unique_key, WebhookDelivery.is_test)
        .where(WebhookDelivery.endpoint_id == endpoint_id, WebhookDelivery.status == "held")
        .order_by(WebhookDelivery.id)
        .limit(A_SLICE)
        .with_for_update(skip_locked=True)
    ).all()
    if not rows:
        return False
    session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.id.in_([row.id for row in rows]))
        .values(status="pending", updated_at=clock_of(session).now())
        .execution_options(synchronize_session=False)
    )
    ready = tuple(Ready(row.id, endpoint_id, row.unique_key, row.is_test) for row in rows)
    facts.note(session, DeliveriesReady(endpoint.tenant_id, ready))
    return len(rows) == A_SLICE


def dispatch_lost(session: Session, now: datetime) -> int:
    """Let jobs send what should have been sent long ago, of all tenants; returns how many.

    Their jobs were lost with the broker, or stand in a long line: a job that is still there keeps
    its lock, and the new one is dropped. What is held back of an endpoint that was switched on
    long ago was missed by its job, or held while it was switched on. The caller commits.
    """
    row, overdue = WebhookDelivery, now - OVERDUE
    switched_on = select(WebhookEndpoint.id).where(
        WebhookEndpoint.status == "enabled", WebhookEndpoint.enabled_at < overdue
    )
    found = session.execute(
        select(row.id, row.tenant_id, row.endpoint_id, row.unique_key, row.is_test)
        .where(
            IS_ON_ITS_WAY,  # in the words of the index that holds only these
            row.updated_at < overdue,
            or_(
                row.status == "pending",
                and_(row.status == "waiting", row.next_at < overdue),
                and_(row.status == "sending", row.lease_until < overdue),
                and_(row.status == "held", row.endpoint_id.in_(switched_on)),
            ),
        )
        .order_by(row.id)
        .limit(A_SLICE)
        .with_for_update(skip_locked=True)
    ).all()
    if found:
        session.execute(
            update(row)
            .where(row.id.in_([each.id for each in found]))
            .values(updated_at=now)
            .execution_options(synchronize_session=False)
        )
    for each in found:
        ready = Ready(each.id, each.endpoint_id, each.unique_key, each.is_test)
        facts.note(session, DeliveriesReady(each.tenant_id, (ready,)))
    return len(found)


def cancel_delivery(session: Session, bench: Workbench, uid: str) -> None:
    """Cancel a delivery that waits; raises ``NotNowError`` for one that does not."""
    delivery = delivery_of(session, uid, lock=True)
    if delivery.status not in {"pending", "held", "waiting"}:
        raise NotNowError(Message("Only what waits can be cancelled."))
    delivery.status, delivery.final_reason = "cancelled", "by_hand"
    delivery.settled_at, delivery.next_at = clock_of(session).now(), None
    record(session, bench.actor, "webhook_delivery.cancelled", "webhook_delivery", uid)


def send_test(session: Session, bench: Workbench, endpoint_uid: str) -> str:
    """Send a test to one endpoint and return its delivery's uid. It says nothing of its health.

    Raises ``NotNowError`` while another test of that endpoint is on its way.
    """
    endpoint = endpoint_of(session, endpoint_uid, lock=True)
    if endpoint.status != "enabled":
        raise NotNowError(Message("The endpoint is not switched on."))
    row = WebhookDelivery
    mine = (row.endpoint_id == endpoint.id, row.is_test, row.status.in_(ON_ITS_WAY))
    if session.scalar(select(exists().where(*mine))):
        raise NotNowError(
            Message("A test of this endpoint is on its way already. See what comes of it first.")
        )
    event = WebhookEvent(
        uid=new_uid(), type=PING, subject_type="endpoint", subject_uid=endpoint.uid,
        data=dict(TEST.sample), occurred_at=clock_of(session).now(),
        dedupe_key=f"{PING}:{new_uid()}",
    )  # fmt: skip
    session.add(event)
    session.flush()
    (told,) = spreading.told_of(session, [event.id], is_test=True)
    now = clock_of(session).now()
    made = {**spreading.row_of(told, endpoint, now, is_test=True), "created_by": bench.user_id}
    spreading.insert(session, [made])
    record(session, bench.actor, "webhook_endpoint.tested", "webhook_endpoint", endpoint.uid)
    return str(made["uid"])


def prune(session: Session, before: datetime) -> int:
    """Delete attempts, settled deliveries and announcements older than that, of all tenants.

    Returns how many rows went. A slice at a time; the caller commits and comes again until none do.
    """
    old = session.scalars(
        select(WebhookAttempt.id).where(WebhookAttempt.started_at < before).limit(PRUNED)
    ).all()
    _delete(session, WebhookAttempt, old)
    bare = ~exists().where(WebhookAttempt.delivery_id == WebhookDelivery.id)
    settled = session.scalars(
        select(WebhookDelivery.id)
        .where(
            WebhookDelivery.status.not_in(ON_ITS_WAY),
            # What began cancelled did not always say when it was settled.
            func.coalesce(WebhookDelivery.settled_at, WebhookDelivery.updated_at) < before,
            bare,
        )
        .limit(PRUNED)
    ).all()
    _delete(session, WebhookDelivery, settled)
    unused = ~exists().where(WebhookDelivery.webhook_event_id == WebhookEvent.id)
    told = session.scalars(
        select(WebhookEvent.id).where(WebhookEvent.occurred_at < before, unused).limit(PRUNED)
    ).all()
    _delete(session, WebhookEvent, told)
    return len(old) + len(settled) + len(told)


def _delete(session: Session, rows: Any, ids: Sequence[int]) -> None:
    if ids:
        session.execute(
            delete(rows).where(rows.id.in_(ids)).execution_options(synchronize_session=False)
        )


def _replayable(statement: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    return statement.where(
        WebhookDelivery.status.in_(REPLAYABLE), WebhookDelivery.is_test.is_(False)
    )


def _replays(
    session: Session,
    rows: Sequence[WebhookDelivery],
    endpoints: dict[int, WebhookEndpoint],
    user_id: int | None,
) -> int:
    """Write a replay of each, once for each announcement and endpoint; returns how many."""
    pairs = {(row.endpoint_id, row.webhook_event_id): row for row in rows}
    known = session.execute(
        select(
            WebhookDelivery.endpoint_id, WebhookDelivery.webhook_event_id,
            func.max(WebhookDelivery.replay_no),
            func.count().filter(WebhookDelivery.status.in_(ON_ITS_WAY)),
        )
        .where(WebhookDelivery.webhook_event_id.in_([event for _, event in pairs]))
        .group_by(WebhookDelivery.endpoint_id, WebhookDelivery.webhook_event_id)
    )  # fmt: skip
    last = {(endpoint, event): (number, busy) for endpoint, event, number, busy in known}
    made = []
    for pair, row in pairs.items():
        number, busy = last.get(pair, (0, 0))
        endpoint = endpoints.get(row.endpoint_id)
        if busy or endpoint is None:
            continue
        made.append(_again(row, endpoint, number + 1, user_id))
    return spreading.insert(session, made)


def _again(
    row: WebhookDelivery, endpoint: WebhookEndpoint, number: int, user_id: int | None
) -> dict[str, Any]:
    return {
        "uid": new_uid(),
        "tenant_id": row.tenant_id,
        "endpoint_id": endpoint.id,
        "webhook_event_id": row.webhook_event_id,
        "type": row.type,
        "replay_no": number,
        "is_test": False,
        "url_at_creation": endpoint.url,
        "body": row.body,
        "has_object": row.has_object,
        "unique_key": unique_key(endpoint.url, row.body.encode(), number),
        "status": "pending" if endpoint.status == "enabled" else "held",
        "final_reason": None,
        "settled_at": None,
        "created_by": user_id,
    }
