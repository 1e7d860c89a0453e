"""Secrets sent by mail: each lets a person do one thing once, for a while; only a hash is kept."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from meet2be.accounts.hashing import hash_of, new_secret
from meet2be.accounts.models import AccountToken
from meet2be.errors import Meet2BeError
from meet2be.language import Message


class TokenRefused(Meet2BeError):
    """A link is unknown, was used, or its time is over; which of these is nobody's business."""

    def __init__(self) -> None:
        super().__init__(
            Message("This link is not valid any more. Ask for a new one and use the newest mail")
        )


def issue(
    session: Session,
    user_id: int,
    purpose: str,
    valid: timedelta,
    now: datetime,
    tenant_id: int | None = None,
) -> str:
    """Return a new secret of 256 random bits; older ones for the same purpose end.

    The caller commits.
    """
    secret = new_secret()
    session.execute(
        update(AccountToken)
        .where(
            AccountToken.user_id == user_id,
            AccountToken.purpose == purpose,
            AccountToken.tenant_id.is_not_distinct_from(tenant_id),
            AccountToken.used_at.is_(None),
            AccountToken.expires_at > now,
        )
        .values(expires_at=now)
        .execution_options(synchronize_session=False)
    )
    session.add(
        AccountToken(
            user_id=user_id,
            tenant_id=tenant_id,
            purpose=purpose,
            token_hash=hash_of(secret),
            expires_at=now + valid,
        )
    )
    session.flush()
    return secret


def look_up(session: Session, secret: str, purpose: str, now: datetime) -> AccountToken:
    """Return the token of a secret without using it; raises ``TokenRefused``."""
    found = session.scalar(
        select(AccountToken).where(
            AccountToken.token_hash == hash_of(secret),
            AccountToken.purpose == purpose,
            AccountToken.used_at.is_(None),
            AccountToken.expires_at > now,
        )
    )
    if found is None:
        raise TokenRefused
    return found


def redeem(session: Session, secret: str, purpose: str, now: datetime) -> AccountToken:
    """Use a secret up and return its token; raises ``TokenRefused``. The caller commits.

    Of two requests at the same time one gets it.
    """
    token = look_up(session, secret, purpose, now)
    used = session.execute(
        update(AccountToken)
        .where(AccountToken.id == token.id, AccountToken.used_at.is_(None))
        .values(used_at=now)
        .returning(AccountToken.id)
        .execution_options(synchronize_session=False)
    ).all()
    if not used:
        raise TokenRefused
    session.refresh(token)
    return token


def end_all(session: Session, user_id: int, now: datetime) -> None:
    """End every link of a person that is open, of all kinds; the caller commits.

    They count as used rather than late: a request that began before is refused as well.
    """
    session.execute(
        update(AccountToken)
        .where(AccountToken.user_id == user_id, AccountToken.used_at.is_(None))
        .values(used_at=now)
        .execution_options(synchronize_session=False)
    )


def prune(session: Session, before: datetime) -> None:
    """Forget tokens whose time was over before a moment; the caller commits."""
    session.execute(
        delete(AccountToken)
        .where(AccountToken.expires_at < before)
        .execution_options(synchronize_session=False)
    )
