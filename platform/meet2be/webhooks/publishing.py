"""Announcing what happened, in the commit that makes it true.

Where no endpoint of the tenant wants the type, one small look-up a transaction is all it costs.
Otherwise a row is written, and a fact lets a job bring it to the endpoints; who gets it is decided
then, so that the causing commit does not pay for it.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Final, cast

from sqlalchemy import Connection, Table, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from meet2be import db, facts
from meet2be.db.columns import new_uid
from meet2be.queueing import after_webhooks, webhooks_before
from meet2be.webhooks.bodies import canonical
from meet2be.webhooks.catalogue import TYPES
from meet2be.webhooks.errors import (
    ForeignAnnouncementError,
    TooMuchDataError,
    UnknownTypeError,
)
from meet2be.webhooks.facts import Announced
from meet2be.webhooks.models import WebhookEndpoint, WebhookEvent

MOST_DATA: Final = 16_000
"""Bytes of an announcement's data: Standard Webhooks 1.0.0 advises bodies below 20 kB."""
DEEPEST: Final = 5
"""How many webhooks may have caused each other before nothing more is announced."""
AT_ONCE: Final = 500

logger: Final = logging.getLogger(__name__)
_LISTENING: Final = "meet2be_webhooks_listening"
_NUL: Final = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
"""NUL as JSON writes it, behind any number of written backslashes."""

_ENDPOINTS = cast("Table", WebhookEndpoint.__table__)
_EVENTS = cast("Table", WebhookEvent.__table__)
_WANTED = select(_ENDPOINTS.c.all_types, _ENDPOINTS.c.event_types).where(
    _ENDPOINTS.c.tenant_id == bindparam("tenant"), _ENDPOINTS.c.status != "deleted"
)
# Once for each cause: of a second announcement under the same key nothing is written.
_INSERT_UNSEEN = {
    name: dialect.insert(_EVENTS)
    .on_conflict_do_nothing(index_elements=[_EVENTS.c.tenant_id, _EVENTS.c.dedupe_key])
    .returning(_EVENTS.c.id)
    for name, dialect in (("postgresql", postgresql), ("sqlite", sqlite))
}


@dataclass(frozen=True, slots=True)
class Announcement:
    """What happened to which subject. `data` is small and bears no data of persons.

    `event_id` is the number of the conference it belongs to, None for none; `dedupe_key` names the
    cause, so that announcing it again changes nothing.
    """

    type: str
    subject_type: str
    subject_uid: str
    dedupe_key: str
    occurred_at: datetime
    event_id: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


def publish(session: Session, announcement: Announcement, *, tenant_id: int | None = None) -> int:
    """Announce one thing; see `publish_many`."""
    return publish_many(session, (announcement,), tenant_id=tenant_id)


def publish_many(
    session: Session, announcements: Iterable[Announcement], *, tenant_id: int | None = None
) -> int:
    """Write what any endpoint of the tenant wants to be told; returns how many rows are new.

    The caller commits. ``announcements`` may be a generator: nothing is taken from it when nobody
    listens. ``tenant_id`` is for sessions of no tenant. Raises ``UnknownTypeError`` and
    ``TooMuchDataError``.
    """
    tenant = db.tenant_of(session) or tenant_id
    if tenant is None:
        first = next(iter(announcements), None)
        raise ForeignAnnouncementError("nothing" if first is None else first.type)
    types = _wanted_types(session, tenant)
    depth = webhooks_before()
    if not types or depth > DEEPEST:
        return 0
    written = 0
    rows = (_row(tenant, each, depth) for each in announcements if _is_wanted(each.type, types))
    while batch := list(islice(rows, AT_ONCE)):
        written += len(_write(session, tenant, batch))
    return written


def is_wanted(session: Session, *types: str, tenant_id: int | None = None) -> bool:
    """Tell whether an endpoint of the session's tenant wants one of these types.

    Asks the database once a transaction.
    """
    tenant = db.tenant_of(session) or tenant_id
    return tenant is not None and any(
        _is_wanted(each, _wanted_types(session, tenant)) for each in types
    )


@contextmanager
def caused_by_webhook(depth: int) -> Iterator[None]:
    """Let what is announced inside the block know how many webhooks stand behind it.

    A request that answers one of our webhooks by calling our API may cause the next one, without
    end; above `DEEPEST` nothing is announced.
    """
    if depth >= DEEPEST:
        logger.warning("a chain of webhooks was ended", extra={"webhook_depth": depth})
    with after_webhooks(depth):
        yield


def _is_wanted(name: str, types: frozenset[str]) -> bool:
    if name not in TYPES:
        raise UnknownTypeError(name)
    return name in types


def wanted_types(connection: Connection, tenant_id: int) -> frozenset[str]:
    """Return the types that any endpoint of a tenant wants; for those who ask once for long."""
    wanted: set[str] = set()
    for all_types, event_types in connection.execute(_WANTED, {"tenant": tenant_id}):
        wanted.update(TYPES if all_types else event_types)
    return frozenset(wanted)


def _wanted_types(session: Session, tenant: int) -> frozenset[str]:
    """Return the types that are wanted; looked up once a transaction."""
    transaction = session.get_transaction()
    known = session.info.get(_LISTENING)
    if known is not None and known[0] is transaction and known[1] == tenant:
        return cast("frozenset[str]", known[2])
    found = wanted_types(session.connection(), tenant)
    session.info[_LISTENING] = (session.get_transaction(), tenant, found)
    return found


def _row(tenant: int, announcement: Announcement, depth: int) -> dict[str, Any]:
    data = canonical(announcement.data)
    if len(data) > MOST_DATA:
        raise TooMuchDataError(announcement.type, len(data), MOST_DATA)
    return {
        "uid": new_uid(),
        "tenant_id": tenant,
        "type": announcement.type,
        "event_id": announcement.event_id,
        "subject_type": announcement.subject_type,
        "subject_uid": announcement.subject_uid,
        # As it will be sent; PostgreSQL stores neither halves of characters nor NUL.
        "data": json.loads(_NUL.sub(rb"\1", data)),
        "depth": depth,
        "occurred_at": announcement.occurred_at,
        "dedupe_key": announcement.dedupe_key,
    }


def _write(session: Session, tenant: int, rows: Sequence[dict[str, Any]]) -> list[int]:
    connection = session.connection()
    insert = _INSERT_UNSEEN[connection.dialect.name]
    new = list(connection.execute(insert, rows).scalars())
    if new:
        facts.note(session, Announced(tenant, tuple(new)))
    return new
