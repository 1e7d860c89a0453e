"""Addresses that get no mail: of one organisation, or of the whole platform."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from meet2be.audit.services import Actor, record
from meet2be.db import ForeignTenantError, tenant_of
from meet2be.db.keyset import Order, Page, Slice, fetch_page
from meet2be.errors import Meet2BeError
from meet2be.language import Message
from meet2be.mailings import statements as sql
from meet2be.mailings.addresses import normal_form, one_address
from meet2be.mailings.errors import BadAddress
from meet2be.mailings.models import SUPPRESSION_SCOPES, MailSuppression

NEWEST_FIRST = Order((MailSuppression.id,), descending=True)
MOST_AT_ONCE: Final = 10_000
_REPORTED_PROBLEMS: Final = 20
_AT_ONCE: Final = 500


class TooManyAddresses(Meet2BeError):
    """A list is longer than one request takes."""

    def __init__(self, number: int) -> None:
        super().__init__(
            Message(
                "%(number)s lines are too many. Bring at most %(most)s at once",
                {"number": number, "most": MOST_AT_ONCE},
            )
        )


class NotSuppressed(Meet2BeError):
    """The entry is not (or no longer) in this list."""

    def __init__(self) -> None:
        super().__init__(Message("This address is not in your list any more"))


@dataclass(frozen=True, slots=True)
class Brought:
    """What became of a list: how many are new, how many were there, and the lines that are none."""

    added: int
    known: int
    bad_lines: Sequence[int]
    bad_count: int


def page(session: Session, query: str, part: Slice, *, is_global: bool) -> Page:
    """Return a page of the list, the newest first; ``query`` begins the addresses."""
    statement = select(MailSuppression).where(_whose(session, is_global=is_global))
    if query:
        start = normal_form(query)
        statement = statement.where(
            MailSuppression.email_norm >= start, MailSuppression.email_norm < start + "\U0010ffff"
        )
    return fetch_page(session, statement, NEWEST_FIRST, part)


def add(
    session: Session, address: str, scope: str, note: str, actor: Actor, *, is_global: bool = False
) -> bool:
    """Suppress one address by hand; False when it was already. The caller commits.

    Raises ``BadAddress``.
    """
    email = normal_form(one_address(address))
    tenant = None if is_global else tenant_of(session)
    if not _add(session, tenant, email, scope, note):
        return False
    record(session, actor, "suppression.added", "mail_suppression", email, after={"scope": scope})
    return True


def remove(session: Session, number: int, actor: Actor, *, is_global: bool = False) -> str:
    """Let an address get mail again and return it; raises ``NotSuppressed``. The caller commits."""
    found = session.scalar(
        select(MailSuppression).where(
            MailSuppression.id == number, _whose(session, is_global=is_global)
        )
    )
    if found is None:
        raise NotSuppressed
    email, before = found.email_norm, {"reason": found.reason, "scope": found.scope}
    session.delete(found)
    record(session, actor, "suppression.removed", "mail_suppression", email, before=before)
    return email


def bring(session: Session, text: str, actor: Actor, *, is_global: bool = False) -> Brought:
    """Suppress every address of a list: one a line, or the first column of a csv file.

    A first line that is no address is taken for a heading. The caller commits. Raises
    ``TooManyAddresses``.
    """
    lines = [row for row in csv.reader(io.StringIO(text.replace("\0", ""))) if any(row)]
    if len(lines) > MOST_AT_ONCE + 1:
        raise TooManyAddresses(len(lines))
    emails: dict[str, None] = {}
    bad: list[int] = []
    for number, row in enumerate(lines, 1):
        try:
            emails[normal_form(one_address(row[0].partition(";")[0]))] = None
        except BadAddress:
            if number > 1:
                bad.append(number)
    tenant = None if is_global else tenant_of(session)
    added = _add_all(session, tenant, list(emails))
    after = {"added": added, "known": len(emails) - added, "bad": len(bad)}
    record(session, actor, "suppression.brought", "mail_suppression", "list", after=after)
    return Brought(added, len(emails) - added, bad[:_REPORTED_PROBLEMS], len(bad))


def suppress(
    session: Session,
    tenant_id: int | None,
    email_norm: str,
    reason: str,
    scope: str = "all",
    *,
    source_mail_id: int | None = None,
    valid: timedelta | None = None,
    now: datetime,
    note: str | None = None,
) -> bool:
    """Suppress an address for a reason that a machine told; False when it was. The caller commits.

    An entry that would end before this one, or has ended, is replaced.
    """
    entry = {
        "tenant_id": tenant_id,
        "email_norm": email_norm,
        "reason": reason,
        "scope": scope,
        "source_mail_id": source_mail_id,
        "expires_at": None if valid is None else now + valid,
        "note": note,
    }
    return _put(session, tenant_id, [entry]) == 1


def scopes() -> Sequence[str]:
    """Return what can be suppressed: everything, or news only."""
    return SUPPRESSION_SCOPES


def _whose(session: Session, *, is_global: bool) -> ColumnElement[bool]:
    if is_global:
        return MailSuppression.tenant_id.is_(None)
    return MailSuppression.tenant_id == tenant_of(session)


def _add(session: Session, tenant_id: int | None, email: str, scope: str, note: str) -> bool:
    entry = {**_by_hand(tenant_id, email), "scope": scope, "note": note.strip()[:500] or None}
    return _put(session, tenant_id, [entry]) == 1


def _add_all(session: Session, tenant_id: int | None, emails: Sequence[str]) -> int:
    parts = (emails[start : start + _AT_ONCE] for start in range(0, len(emails), _AT_ONCE))
    return sum(
        _put(session, tenant_id, [_by_hand(tenant_id, email) for email in part]) for part in parts
    )


def _by_hand(tenant_id: int | None, email: str) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "email_norm": email,
        "reason": "manual",
        "scope": "all",
        "source_mail_id": None,
        "expires_at": None,
        "note": None,
    }


def _put(session: Session, tenant_id: int | None, entries: Sequence[Mapping[str, Any]]) -> int:
    """Write entries and return how many are new or last longer than what was there.

    The database decides: two workers may hear of one address at once.
    """
    own = tenant_of(session)  # what follows runs past the session's guard, so it is checked
    if own is not None and tenant_id != own:
        table = MailSuppression.__tablename__
        raise ForeignTenantError(table, row_tenant=tenant_id, session_tenant=own)
    session.flush()
    connection = session.connection()
    put = sql.PUT_SUPPRESSION[connection.dialect.name, tenant_id is None]
    return len(connection.execute(put, entries).all())
