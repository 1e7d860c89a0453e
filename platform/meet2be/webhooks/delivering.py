"""Sending one delivery: claim it, post it, book the attempt and all that follows in one commit.

What many threads claim and book at the same time shares transactions (`webhooks.together`). A
worker that dies between the post and the commit leaves a delivery that is sent again under the same
webhook-id: receivers are told once at least.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection

from meet2be.db import Database
from meet2be.integrations.guarded_http import Answer, GuardedHttp, HookCallFailed
from meet2be.webhooks import statements as sql
from meet2be.webhooks.headers import (
    DEPTH_HEADER,
    USER_AGENT,
    kept_of_answer,
    kept_of_request,
    secrets_of,
    unpacked,
    without_secrets,
)
from meet2be.webhooks.health import Mark, marked, must_disable, must_warn, tend
from meet2be.webhooks.models import ON_ITS_WAY
from meet2be.webhooks.signing import key_of, sign
from meet2be.webhooks.speeds import Speeds
from meet2be.webhooks.together import Together
from meet2be.webhooks.vault import Vault
from meet2be.webhooks.verdicts import MOST_ATTEMPTS, Verdict, judge
from onqueue.contracts import Clock

LEASE: Final = timedelta(seconds=60)
SUSPENDED_WAIT: Final = 600.0
KEPT_OF_BODY: Final = 16 * 1024
_REASON: Final = "webhooks: deliveries of many tenants in one transaction"


@dataclass(frozen=True, slots=True)
class Task:
    """A claimed delivery with all it takes to send it."""

    row: Any
    keys: tuple[bytes, ...]
    secret_uids: tuple[str, ...]
    own_headers: Mapping[str, str]
    secrets: Sequence[str]

    @property
    def attempt(self) -> int:
        """The number of the attempt that is made now."""
        return int(self.row.attempts) + 1


@dataclass(frozen=True, slots=True)
class Aside:
    """Nothing is sent now: ``again_after`` seconds, or never by this job."""

    why: str
    again_after: float | None = None
    is_failed: bool = False


@dataclass(frozen=True, slots=True)
class _Wanted:
    tenant_id: int
    delivery_id: int


@dataclass(frozen=True, slots=True)
class _Sent:
    """An attempt that was made, to be booked."""

    task: Task
    verdict: Verdict
    found: Answer | HookCallFailed
    headers: Mapping[str, str]
    started_at: datetime
    duration_ms: int


@dataclass(slots=True)
class _Booking:
    """What one transaction writes."""

    attempts: list[dict[str, Any]] = field(default_factory=list)
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    marks: defaultdict[int, list[Mark]] = field(default_factory=lambda: defaultdict(list))


class WebhookDeliveries:
    """Sends deliveries of all tenants; one for a process, used by its threads."""

    def __init__(self, database: Database, http: GuardedHttp, vault: Vault, clock: Clock) -> None:
        self.database, self.http, self.vault, self.clock = database, http, vault, clock
        self.speeds = Speeds()
        self._claims: Together[_Wanted, Task | Aside] = Together(self._claim)
        self._bookings: Together[_Sent, Mark | None] = Together(self._book)
        self._opened = lru_cache(maxsize=4096)(vault.open)

    def deliver(
        self, tenant_id: int, delivery_id: int, ensure_lease: Callable[[], None] = lambda: None
    ) -> Verdict | Aside:
        """Send a delivery if it is to be sent now, and return what came of it.

        ``ensure_lease`` is asked right before the post and raises when another worker may have
        taken over.
        """
        task = self._claims.do(_Wanted(tenant_id, delivery_id))
        if isinstance(task, Aside):
            return task
        ensure_lease()
        sent = self._send(task)
        news = self._bookings.do(sent)
        if news is not None:
            self._tend(task, news)
        return sent.verdict

    def fail(self, tenant_id: int, delivery_id: int, reason: str = "crashed") -> None:
        """Mark a delivery as failed that is still on its way: nobody will send it any more."""
        with self._transaction() as connection:
            for row in self._read(connection, [delivery_id]).values():
                if row.tenant_id == tenant_id and row.status in ON_ITS_WAY:
                    self._put_aside(connection, [(row, "failed", reason)])

    # ---- claiming ----

    def _claim(self, wanted: Sequence[_Wanted]) -> list[Task | Aside]:
        now = self.clock.now()
        with self._transaction() as connection:
            rows = self._read(connection, [each.delivery_id for each in wanted])
            stands = [_stand(rows.get(each.delivery_id), each, now) for each in wanted]
            going = [
                rows[each.delivery_id]
                for each, stand in zip(wanted, stands, strict=True)
                if stand is None
            ]
            secrets = self._secrets(connection, {row.endpoint_id for row in going}, now)
            if going:
                ids = [row.id for row in going]
                values = {"deliveries": ids, "now": now, "until": now + LEASE}
                connection.execute(sql.CLAIM, values)
            asides = [
                (rows[each.delivery_id], *_ASIDE_STATES[stand.why])
                for each, stand in zip(wanted, stands, strict=True)
                if stand is not None and stand.why in _ASIDE_STATES
            ]
            self._put_aside(connection, asides)
        return [
            self._task(rows[each.delivery_id], secrets) if stand is None else stand
            for each, stand in zip(wanted, stands, strict=True)
        ]

    def _task(self, row: Any, secrets: Mapping[int, list[tuple[str, str]]]) -> Task:
        found = secrets.get(row.endpoint_id, [])
        sealed = row.custom_headers
        own = unpacked(self._opened(sealed, f"headers:{row.endpoint_uid}")) if sealed else {}
        signing = [self._opened(text, f"secret:{uid}") for uid, text in found]
        return Task(
            row,
            tuple(key_of(text) for text in signing),
            tuple(uid for uid, _ in found),
            own,
            secrets_of(signing, own),
        )

    @staticmethod
    def _secrets(
        connection: Connection, endpoints: set[int], now: datetime
    ) -> dict[int, list[tuple[str, str]]]:
        found: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
        if endpoints:
            values = {"endpoints": sorted(endpoints), "now": now}
            for row in connection.execute(sql.READ_SECRETS, values):
                found[row.endpoint_id].append((row.uid, row.secret_enc))
        return found

    # ---- sending ----

    def _send(self, task: Task) -> _Sent:
        row, body = task.row, task.row.body.encode()
        started_at, began = self.clock.now(), self.clock.monotonic()
        headers = self._headers(task, int(started_at.timestamp()), body)
        found: Answer | HookCallFailed
        try:
            found = self.http.post(row.url, {**task.own_headers, **headers}, body)
        except HookCallFailed as error:
            found = error
        found = without_secrets(found, task.secrets)
        seconds = self.clock.monotonic() - began
        self.speeds.note(row.endpoint_id, seconds)
        verdict = judge(
            found,
            task.attempt,
            self.clock.now(),
            retry_refusals=row.retry_refusals,
            jitter=row.jitter,
            most_attempts=1 if row.is_test else MOST_ATTEMPTS,
        )
        return _Sent(task, verdict, found, headers, started_at, round(seconds * 1000))

    @staticmethod
    def _headers(task: Task, timestamp: int, body: bytes) -> dict[str, str]:
        row = task.row
        headers = {
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "webhook-id": row.event_uid,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(task.keys, row.event_uid, timestamp, body),
            "Meet2Be-Attempt": str(task.attempt),
            DEPTH_HEADER: str(row.depth + 1),
        }
        if row.replay_no:
            headers["Meet2Be-Replay"] = str(row.replay_no)
        return headers

    # ---- booking ----

    def _book(self, sent: Sequence[_Sent]) -> list[Mark | None]:
        now, booking = self.clock.now(), _Booking()
        news: dict[int, Mark] = {}
        with self._transaction() as connection:
            ids = {"deliveries": [each.task.row.id for each in sent]}
            known = {
                (row.delivery_id, row.n) for row in connection.execute(sql.KNOWN_ATTEMPTS, ids)
            }
            for each in sent:
                if (each.task.row.id, each.task.attempt) not in known:
                    _add(booking, each, now)
            if booking.attempts:
                connection.execute(sql.INSERT_ATTEMPTS, booking.attempts)
                connection.execute(sql.SETTLE, booking.deliveries)
            if booking.marks:
                news = _mark_health(connection, booking.marks, now)
        return [news.get(each.task.row.endpoint_id) for each in sent]

    def _tend(self, task: Task, news: Mark) -> None:
        with self.database.tenant_session(task.row.tenant_id) as session:
            tend(session, task.row.endpoint_id, self.clock.now(), is_gone=news.is_gone)
            session.commit()

    # ---- rows ----

    def _transaction(self) -> _Transaction:
        return _Transaction(self.database)

    @staticmethod
    def _read(connection: Connection, deliveries: Sequence[int]) -> dict[int, Any]:
        found = connection.execute(sql.READ_DELIVERIES, {"deliveries": list(deliveries)})
        return {row.id: row for row in found}

    def _put_aside(
        self, connection: Connection, asides: Sequence[tuple[Any, str, str | None]]
    ) -> None:
        now = self.clock.now()
        if asides:
            connection.execute(
                sql.PUT_ASIDE,
                [
                    {
                        "delivery": row.id, "v_was": row.status, "before": row.attempts,
                        "v_status": status, "v_reason": reason,
                        "v_settled_at": now if reason else None, "now": now,
                    }
                    for row, status, reason in asides
                ],
            )  # fmt: skip


class _Transaction:
    """A transaction of the platform's own on a plain connection."""

    def __init__(self, database: Database) -> None:
        self._connection = database.system_connection(_REASON)

    def __enter__(self) -> Connection:
        self._connection.begin()
        return self._connection

    def __exit__(self, kind: object, *_rest: object) -> None:
        try:
            if kind is None:
                self._connection.commit()
        finally:
            self._connection.close()  # which rolls back what was not committed


_ASIDE_STATES: Final[Mapping[str, tuple[str, str | None]]] = {
    "paused": ("held", None),
    "disabled": ("cancelled", "endpoint_disabled"),
    "deleted": ("cancelled", "endpoint_deleted"),
}


def _stand(row: Any, wanted: _Wanted, now: datetime) -> Aside | None:
    """Return why a delivery is not sent now; None when it is."""
    if row is None or row.tenant_id != wanted.tenant_id:
        return Aside("unknown")
    if row.status not in ON_ITS_WAY:
        return Aside(f"over: {row.final_reason or row.status}", is_failed=row.status == "failed")
    if row.endpoint_status != "enabled":
        if row.status == "sending" and row.lease_until > now:
            # Whoever sends it may still be at it, and books what came of it.
            return Aside("under way", (row.lease_until - now).total_seconds() + 1)
        return Aside(row.endpoint_status.partition("_")[0])
    return None if row.tenant_status == "active" else Aside("suspended", SUSPENDED_WAIT)


def _add(booking: _Booking, sent: _Sent, now: datetime) -> None:
    row, verdict, found = sent.task.row, sent.verdict, sent.found
    answer = found if isinstance(found, Answer) else Answer(0, {}, b"", truncated=False, address="")
    again = verdict.outcome == "again"
    next_at = now + timedelta(seconds=verdict.delay) if again else None
    booking.attempts.append({
        "tenant_id": row.tenant_id, "delivery_id": row.id, "n": sent.task.attempt,
        "started_at": sent.started_at, "duration_ms": sent.duration_ms, "url": row.url,
        "address": found.address,
        "request_headers": kept_of_request(
            {**sent.headers, **sent.task.own_headers}, sent.task.own_headers
        ),
        "status_code": answer.status or None,
        "headers": kept_of_answer(answer.headers),
        "body_excerpt": answer.body[:KEPT_OF_BODY].decode("utf-8", "replace"),
        "truncated": answer.truncated or len(answer.body) > KEPT_OF_BODY,
        "outcome": verdict.outcome, "error_class": verdict.code if verdict.is_failure else None,
        "error_text": verdict.text if verdict.is_failure else None,
        "retry_at": next_at, "secret_ids": list(sent.task.secret_uids),
    })  # fmt: skip
    booking.deliveries.append({
        "delivery": row.id, "before": row.attempts, "now": now,
        "v_status": "waiting" if again else verdict.outcome, "v_next_at": next_at,
        "v_settled_at": None if again else now,
        "v_reason": verdict.code if verdict.outcome == "failed" else None,
    })  # fmt: skip
    if not row.is_test:
        booking.marks[row.endpoint_id].append(
            Mark(not verdict.is_failure, now, verdict.text, verdict.code == "gone")
        )


def _mark_health(
    connection: Connection, marks: Mapping[int, Sequence[Mark]], now: datetime
) -> dict[int, Mark]:
    """Write what the attempts say of their endpoints; returns those that must be tended."""
    rows = connection.execute(sql.READ_HEALTH, {"endpoints": sorted(marks)}).all()
    changed, news = [], {}
    for row in rows:
        values = marked(row, marks[row.id])
        changed.append({"endpoint": row.id, "now": now, **{f"v_{k}": v for k, v in values.items()}})
        standing = _Standing(enabled_at=row.enabled_at, **values)
        gone = any(mark.is_gone for mark in marks[row.id])
        if row.status == "enabled" and (gone or must_disable(standing, now) or must_warn(standing)):
            news[row.id] = Mark(is_success=False, at=now, is_gone=gone)
    if changed:
        connection.execute(sql.WRITE_HEALTH, changed)
    return news


@dataclass(frozen=True, slots=True)
class _Standing:
    """An endpoint's health as it is after this transaction."""

    enabled_at: datetime
    recent: str
    fails_in_row: int
    failing_since: datetime | None
    warned_at: datetime | None
    last_success_at: datetime | None
    last_failure_at: datetime | None
    last_failure: str | None
