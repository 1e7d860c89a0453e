"""Answers that a repeated request gets: its key claimed, answered in the effect's own commit.

A request claims its key in a commit of its own. What it does and the answer to it are then
written in one commit that also checks the claim, so that after a crash at any point the effect is
there with its answer, or neither is, and the key is free again after ``LEASE``.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import CursorResult, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from meet2be.api_tokens.errors import KeyInUse, KeyOfAnotherRequest, LockLost
from meet2be.api_tokens.models import RememberedAnswer

KEPT_FOR: Final = timedelta(hours=24)
LEASE: Final = timedelta(seconds=90)
"""How long a request keeps its key when nothing is heard of it; longer than any may take."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as its key remembers it."""

    token_id: int
    key: str
    method: str
    path: str
    body_hash: str


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a request."""

    row_id: int
    lock_token: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered before, sealed."""

    status_code: int
    response: str
    row_id: int


def claim(session: Session, asked: Asked, now: datetime) -> Claim | Answer:
    """Return the right to work on the request, or the answer it got before; commits.

    Raises ``KeyInUse`` and ``KeyOfAnotherRequest``.
    """
    found = _find(session, asked)
    if found is not None and found.expires_at <= now:
        session.execute(_these(RememberedAnswer.id == found.id))
        found = None
    if found is None:
        made = _first(session, asked, now)
        if made is not None:
            return made
        found = _find(session, asked)
    if found is None:
        raise KeyInUse(1)
    if (found.method, found.path, found.body_hash) != (asked.method, asked.path, asked.body_hash):
        raise KeyOfAnotherRequest
    if found.status_code is not None:
        return Answer(found.status_code, found.response or "", found.id)
    return _taken_over(session, found, now)


def answer(session: Session, mine: Claim, status_code: int, response: str) -> None:
    """Write the answer into the session of the effect; raises ``LockLost`` when it was taken."""
    changed = session.execute(
        update(RememberedAnswer)
        .where(
            RememberedAnswer.id == mine.row_id,
            RememberedAnswer.lock_token == mine.lock_token,
            RememberedAnswer.status_code.is_(None),
        )
        .values(status_code=status_code, response=response, locked_at=None, lock_token=None)
        .execution_options(synchronize_session=False)
    )
    if cast("CursorResult[Any]", changed).rowcount != 1:
        raise LockLost


def release(session: Session, mine: Claim) -> None:
    """Free the key of a request that changed nothing, so that it may be sent again; commits."""
    session.execute(
        _these(
            RememberedAnswer.id == mine.row_id,
            RememberedAnswer.lock_token == mine.lock_token,
            RememberedAnswer.status_code.is_(None),
        )
    )
    session.commit()


def forget_old(session: Session, now: datetime, most: int = 1_000) -> int:
    """Delete answers that nobody may ask for any more; returns how many. Commits."""
    old = select(RememberedAnswer.id).where(RememberedAnswer.expires_at <= now).limit(most)
    numbers = list(session.scalars(old))
    if numbers:
        session.execute(_these(RememberedAnswer.id.in_(numbers)))
        session.commit()
    return len(numbers)


def _find(session: Session, asked: Asked) -> RememberedAnswer | None:
    return session.scalar(
        select(RememberedAnswer)
        .where(RememberedAnswer.token_id == asked.token_id, RememberedAnswer.key == asked.key)
        .execution_options(populate_existing=True)
    )


def _first(session: Session, asked: Asked, now: datetime) -> Claim | None:
    row = RememberedAnswer(
        token_id=asked.token_id,
        key=asked.key,
        method=asked.method,
        path=asked.path,
        body_hash=asked.body_hash,
        locked_at=now,
        lock_token=secrets.token_hex(16),
        expires_at=now + KEPT_FOR,
    )
    session.add(row)
    try:
        session.commit()
    except IntegrityError:  # another one with the key came first
        session.rollback()
        return None
    return Claim(row.id, cast("str", row.lock_token))


def _taken_over(session: Session, found: RememberedAnswer, now: datetime) -> Claim:
    """Return the claim of a request whose worker is gone; raises ``KeyInUse`` before that."""
    since = found.locked_at or now
    if now - since < LEASE:
        raise KeyInUse(max(1, round((LEASE - (now - since)).total_seconds())))
    mine = Claim(found.id, secrets.token_hex(16))
    changed = session.execute(
        update(RememberedAnswer)
        .where(
            RememberedAnswer.id == found.id,
            RememberedAnswer.lock_token == found.lock_token,
            RememberedAnswer.status_code.is_(None),
        )
        .values(locked_at=now, lock_token=mine.lock_token)
        .execution_options(synchronize_session=False)
    )
    session.commit()
    if cast("CursorResult[Any]", changed).rowcount != 1:
        raise KeyInUse(1)
    return mine


def _these(*conditions: Any) -> Any:
    return delete(RememberedAnswer).where(*conditions).execution_options(synchronize_session=False)
