"""What every step of a run needs to know about it, read once a slice."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol, cast

from sqlalchemy import Connection, Table, and_, bindparam, select

from meet2be.cancellations.errors import UnknownRun
from meet2be.cancellations.models import CancelRun
from meet2be.cancellations.options import CancelOptions
from meet2be.cancellations.planning import Rules
from meet2be.db import GuardedSession
from meet2be.events.models import Event
from meet2be.mailings.services import Sender, sender_of
from meet2be.payments.provider import PaymentProvider
from meet2be.tenancy.models import Tenant
from meet2be.webhooks.publishing import wanted_types
from onqueue.contracts import Clock

_RUNS = cast("Table", CancelRun.__table__)
_EVENTS = cast("Table", Event.__table__)
_TENANTS = cast("Table", Tenant.__table__)


class Sessions(Protocol):
    """The part of the database that is needed here: sessions of one tenant."""

    def tenant_session(self, tenant_id: int, *, read_only: bool = False) -> GuardedSession:
        """Return a session that sees and writes the rows of one tenant."""
        ...

    def system_session(self, reason: str, *, read_only: bool = False) -> GuardedSession:
        """Return a session of the platform's own."""
        ...


@dataclass(frozen=True, slots=True)
class Desk:
    """The outside things a cancellation works with; made once a process.

    `sender` is from whom mails of tenants without a sender of their own come. `threads` calls go to
    the provider at the same time, and `chunk` units are claimed at once: whole rounds of the
    threads, and no more mails than one job of theirs takes, so that most commits cause one.
    """

    db: Sessions
    payments: PaymentProvider
    clock: Clock
    sender: Sender
    threads: int = 8
    chunk: int = 48


@dataclass(frozen=True, slots=True)
class RunContext:
    """A run with its event and tenant, as they stood at the start of this slice."""

    run_id: int
    run_uid: str
    tenant_id: int
    tenant_uid: str
    tenant_name: str
    zone: str
    sender: Sender
    event_id: int
    event_uid: str
    event_title: str
    event_starts_at: datetime
    event_currency: str
    test_mode: bool
    lanes: int
    options: CancelOptions
    accounts: tuple[str, ...]
    announced: frozenset[str] = frozenset()
    """Which types of announcements any webhook of the tenant wants."""
    preview_hash: str = ""
    previewed: int = 0
    """How many attendees the preview has shown."""
    has_postage: bool = False
    """Whether any order of the preview was to be sent by post."""
    preparation: dict[str, Any] | None = None
    """Set while the items of a large run are written."""
    confirmed_by: int | None = None

    @property
    def rules(self) -> Rules:
        """Return what the plan follows."""
        return Rules(self.options, self.event_currency, self.test_mode)

    def prepared_as(self, document: dict[str, Any]) -> RunContext:
        """Return the same with another standing of the preparation."""
        return replace(self, preparation=document)


_CONTEXT = (
    select(
        _RUNS.c.id, _RUNS.c.uid, _RUNS.c.lanes, _RUNS.c.options, _RUNS.c.preview, _RUNS.c.event_id,
        _RUNS.c.preview_hash, _RUNS.c.preparation, _RUNS.c.confirmed_by,
        _EVENTS.c.uid.label("event_uid"), _EVENTS.c.title, _EVENTS.c.starts_at,
        _EVENTS.c.currency, _EVENTS.c.test_mode, _TENANTS.c.uid.label("tenant_uid"),
        _TENANTS.c.name.label("tenant_name"), _TENANTS.c.timezone, _TENANTS.c.sender_name,
        _TENANTS.c.sender_email, _TENANTS.c.sender_verified_at, _TENANTS.c.reply_to,
    )
    .select_from(_RUNS)
    .join(
        _EVENTS,
        and_(_EVENTS.c.tenant_id == _RUNS.c.tenant_id, _EVENTS.c.id == _RUNS.c.event_id),
    )
    .join(_TENANTS, _TENANTS.c.id == _RUNS.c.tenant_id)
    .where(_RUNS.c.tenant_id == bindparam("tenant"))
)  # fmt: skip
_BY_UID = _CONTEXT.where(_RUNS.c.uid == bindparam("run"))
_BY_ID = _CONTEXT.where(_RUNS.c.id == bindparam("run"))


def context_of(
    connection: Connection, tenant_id: int, run: str | int, fallback: Sender
) -> RunContext:
    """Return the context of a run, by uid or id; raises ``UnknownRun``."""
    statement = _BY_UID if isinstance(run, str) else _BY_ID
    row = connection.execute(statement, {"tenant": tenant_id, "run": run}).one_or_none()
    if row is None:
        raise UnknownRun(str(run))
    return RunContext(
        run_id=row.id,
        run_uid=row.uid,
        tenant_id=tenant_id,
        tenant_uid=row.tenant_uid,
        tenant_name=row.tenant_name,
        zone=row.timezone,
        sender=sender_of(row, fallback),
        event_id=row.event_id,
        event_uid=row.event_uid,
        event_title=row.title,
        event_starts_at=row.starts_at,
        event_currency=row.currency,
        test_mode=row.test_mode,
        lanes=row.lanes,
        options=CancelOptions.from_json(row.options),
        accounts=tuple(row.preview.get("accounts", ())),
        announced=wanted_types(connection, tenant_id),
        preview_hash=row.preview_hash or "",
        previewed=row.preview.get("attendees", 0),
        has_postage=bool(row.preview.get("postage_minor")),
        preparation=row.preparation,
        confirmed_by=row.confirmed_by,
    )
