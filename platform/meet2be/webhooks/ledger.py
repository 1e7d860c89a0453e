"""What is written of deliveries: that one is sent now, and what came of it.

What many threads claim and book at the same time shares a transaction (`webhooks.together`): each
delivery is claimed durably before its request leaves, and its attempt stands with all that follows
of it in one commit before its job is over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, cast

from sqlalchemy import Connection

from meet2be.db import Database
from meet2be.integrations.guarded_http import Answer, HookCallFailed
from meet2be.integrations.switchboard import Then
from meet2be.webhooks import statements as sql
from meet2be.webhooks.headers import kept_of_answer, kept_of_request, secrets_of, unpacked
from meet2be.webhooks.health import REMEMBERED, Mark, marked, must_disable, must_warn
from meet2be.webhooks.models import ON_ITS_WAY
from meet2be.webhooks.signing import Key, key_of
from meet2be.webhooks.statements import DeliveryRow
from meet2be.webhooks.together import Together
from meet2be.webhooks.vault import Vault
from meet2be.webhooks.verdicts import Verdict
from onqueue.contracts import Clock

LEASE: Final = timedelta(seconds=60)
SUSPENDED_WAIT: Final = 600.0
KEPT_OF_BODY: Final = 16 * 1024
_REASON: Final = "webhooks: deliveries of many tenants in one transaction"


@dataclass(frozen=True, slots=True)
class Kit:
    """What an endpoint's requests are signed and sent with; ``secrets`` must not be kept."""

    keys: tuple[Key, ...]
    secret_uids: tuple[str, ...]
    own_headers: Mapping[str, str]
    secrets: Sequence[str]


@dataclass(frozen=True, slots=True)
class Task:
    """A claimed delivery with all it takes to send it."""

    row: DeliveryRow
    kit: Kit

    @property
    def attempt(self) -> int:
        """The number of the attempt that is made now."""
        return self.row.attempts + 1


@dataclass(frozen=True, slots=True)
class Aside:
    """Nothing is sent now: ``again_after`` seconds, or never by this job."""

    why: str
    again_after: float | None = None
    is_failed: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """An attempt that was made, to be booked; of what was found secrets are taken out."""

    task: Task
    verdict: Verdict
    found: Answer | HookCallFailed
    headers: Mapping[str, str]
    started_at: datetime
    duration_ms: int


@dataclass(frozen=True, slots=True)
class _Wanted:
    tenant_id: int
    delivery_id: int


class Ledger:
    """Claims and books deliveries of all tenants; one for a process, used by its threads."""

    def __init__(self, database: Database, vault: Vault, clock: Clock) -> None:
        """Open secrets with ``vault``."""
        self._database, self._vault, self._clock = database, vault, clock
        self._together: Together[_Wanted | Sent, Task | Aside | Mark | None] = Together(self._write)
        self._kit = lru_cache(maxsize=4096)(self._make_kit)

    def claim(self, tenant_id: int, delivery_id: int, then: Then[Task | Aside]) -> None:
        """Tell ``then`` of the delivery, which is the caller's to send now, or why it is not."""
        self._together.begin(_Wanted(tenant_id, delivery_id), cast("Then[Any]", then))

    def book(self, sent: Sent, then: Then[Mark]) -> None:
        """Write an attempt and what follows; ``then`` hears what the endpoint is tended for."""
        self._together.begin(sent, cast("Then[Any]", then))

    def fail(self, tenant_id: int, delivery_id: int, reason: str) -> None:
        """Mark a delivery as failed that is still on its way."""
        now = self._clock.now()
        with _Transaction(self._database) as connection:
            rows, _ = sql.read_deliveries(connection, [delivery_id], now)
            for row in rows.values():
                if row.tenant_id == tenant_id and row.status in ON_ITS_WAY:
                    _put_aside(connection, [(row, "failed", reason)], now)

    def _write(self, items: Sequence[_Wanted | Sent]) -> list[Task | Aside | Mark | None]:
        now = self._clock.now()
        sent = [each for each in items if isinstance(each, Sent)]
        wanted = [each for each in items if isinstance(each, _Wanted)]
        with _Transaction(self._database) as connection:
            news = _book(connection, sent, now) if sent else {}
            claimed = iter(self._claim(connection, wanted, now) if wanted else ())
        return [
            news.get(each.task.row.endpoint_id) if isinstance(each, Sent) else next(claimed)
            for each in items
        ]

    def _claim(
        self, connection: Connection, wanted: Sequence[_Wanted], now: datetime
    ) -> list[Task | Aside]:
        rows, secrets = sql.read_deliveries(connection, [each.delivery_id for each in wanted], now)
        found: list[Task | Aside] = []
        claims, asides = [], []
        for each in wanted:
            row = rows.get(each.delivery_id)
            if row is None or row.tenant_id != each.tenant_id:
                found.append(Aside("unknown"))
                continue
            aside = _stand(row, now)
            if aside is None:
                claims.append({"delivery": row.id, "now": now, "until": now + LEASE})
                kit = self._kit(row.endpoint_uid, row.custom_headers, tuple(secrets[row.id]))
                found.append(Task(row, kit))
                continue
            found.append(aside)
            if aside.why in _ASIDE_STATES:
                asides.append((row, *_ASIDE_STATES[aside.why]))
        sql.CLAIM.run_many(connection, claims)
        _put_aside(connection, asides, now)
        return found

    def _make_kit(
        self, endpoint_uid: str, sealed_headers: str | None, sealed: tuple[tuple[str, str], ...]
    ) -> Kit:
        place = f"headers:{endpoint_uid}"
        own = unpacked(self._vault.open(sealed_headers, place)) if sealed_headers else {}
        signing = [self._vault.open(text, f"secret:{uid}") for uid, text in sealed]
        return Kit(
            # Secrets first: some libraries stop at a token they do not know.
            tuple(sorted(map(key_of, signing), key=lambda key: not isinstance(key, bytes))),
            tuple(uid for uid, _ in sealed),
            own,
            secrets_of(signing, own),
        )


class _Transaction:
    """A transaction of the platform's own on a plain connection."""

    def __init__(self, database: Database) -> None:
        self._connection = database.system_connection(_REASON)

    def __enter__(self) -> Connection:
        try:
            self._connection.begin()
        except BaseException:
            self._connection.close()
            raise
        return self._connection

    def __exit__(self, kind: object, *_rest: object) -> None:
        try:
            if kind is None:
                self._connection.commit()
        finally:
            self._connection.close()  # which rolls back what was not committed


# ---- claiming ----

_ASIDE_STATES: Final[Mapping[str, tuple[str, str | None]]] = {
    "paused": ("held", None),
    "disabled": ("cancelled", "endpoint_disabled"),
    "deleted": ("cancelled", "endpoint_deleted"),
}


def _stand(row: DeliveryRow, now: datetime) -> Aside | None:
    """Return why a delivery is not sent now; None when it is."""
    if row.status not in ON_ITS_WAY:
        return Aside(f"over: {row.final_reason or row.status}", is_failed=row.status == "failed")
    if row.endpoint_status != "enabled":
        if row.status == "sending" and row.lease_until is not None and row.lease_until > now:
            # Whoever sends it may still be at it, and books what came of it.
            return Aside("under way", (row.lease_until - now).total_seconds() + 1)
        return Aside(row.endpoint_status.partition("_")[0])
    return None if row.tenant_status == "active" else Aside("suspended", SUSPENDED_WAIT)


def _put_aside(
    connection: Connection, asides: Sequence[tuple[DeliveryRow, str, str | None]], now: datetime
) -> None:
    sql.PUT_ASIDE.run_many(
        connection,
        [
            {
                "delivery": row.id, "v_was": row.status, "before": row.attempts,
                "v_status": status, "v_reason": reason, "v_settled_at": now if reason else None,
                "now": now,
            }
            for row, status, reason in asides
        ],
    )  # fmt: skip


# ---- booking ----


def _book(connection: Connection, sent: Sequence[Sent], now: datetime) -> dict[int, Mark]:
    """Write attempts; returns what the endpoints must be tended for, by their numbers."""
    settled = sql.SETTLE.run_many(
        connection,
        [_settlement(each, now) for each in sorted(sent, key=lambda each: each.task.row.id)],
    )
    if settled != len(sent):  # cancelled meanwhile, or booked by whoever was taken for dead
        ids = {"deliveries": [each.task.row.id for each in sent]}
        known = {(row.delivery_id, row.n) for row in connection.execute(sql.KNOWN_ATTEMPTS, ids)}
        sent = [each for each in sent if (each.task.row.id, each.task.attempt) not in known]
    sql.INSERT_ATTEMPTS.run_many(connection, [_attempt(each, now) for each in sent])
    marks: defaultdict[int, list[Mark]] = defaultdict(list)
    for each in sent:
        if not each.task.row.is_test:
            verdict = each.verdict
            marks[each.task.row.endpoint_id].append(
                Mark(not verdict.is_failure, now, verdict.text, verdict.code == "gone")
            )
    if any(not mark.is_success for of_one in marks.values() for mark in of_one):
        return _mark_health(connection, marks, now)
    sql.NOTE_SUCCESSES.run_many(
        connection,
        [
            {
                "endpoint": number, "now": now, "v_letters": "s" * min(len(found), REMEMBERED),
                "v_many": min(len(found), REMEMBERED),
            }
            for number, found in sorted(marks.items())
        ],
    )  # fmt: skip
    return {}


def _settlement(sent: Sent, now: datetime) -> dict[str, Any]:
    verdict = sent.verdict
    again = verdict.outcome == "again"
    return {
        "delivery": sent.task.row.id, "before": sent.task.row.attempts,
        "v_attempts": sent.task.attempt, "now": now,
        "v_status": "waiting" if again else verdict.outcome, "v_next_at": _next_at(sent, now),
        "v_settled_at": None if again else now,
        "v_reason": verdict.code if verdict.outcome == "failed" else None,
    }  # fmt: skip


def _next_at(sent: Sent, now: datetime) -> datetime | None:
    if sent.verdict.outcome != "again":
        return None
    return now + timedelta(seconds=sent.verdict.delay)


def _attempt(sent: Sent, now: datetime) -> dict[str, Any]:
    row, kit, verdict, found = sent.task.row, sent.task.kit, sent.verdict, sent.found
    answer = found if isinstance(found, Answer) else Answer(0, {}, b"", truncated=False, address="")
    return {
        "tenant_id": row.tenant_id, "delivery_id": row.id, "n": sent.task.attempt,
        "started_at": sent.started_at, "duration_ms": sent.duration_ms, "url": row.url,
        "address": found.address,
        "request_headers": kept_of_request(
            {**sent.headers, **kit.own_headers}, kit.own_headers
        ),
        "status_code": answer.status or None,
        "headers": kept_of_answer(answer.headers),
        "body_excerpt": answer.body[:KEPT_OF_BODY].decode("utf-8", "replace"),
        "truncated": answer.truncated or len(answer.body) > KEPT_OF_BODY,
        "outcome": verdict.outcome, "error_class": verdict.code if verdict.is_failure else None,
        "error_text": verdict.text if verdict.is_failure else None,
        "retry_at": _next_at(sent, now), "secret_ids": list(kit.secret_uids),
    }  # fmt: skip


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
    sql.WRITE_HEALTH.run_many(connection, changed)
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
