"""The brake on guessing passwords: per address and per network address, never for ever."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from meet2be.accounts.models import LoginAttempt

WINDOW = timedelta(minutes=15)
FREE_TRIES_PER_ADDRESS = 5
FREE_TRIES_PER_NETWORK = 30


def seconds_to_wait(session: Session, address: str, ip: str | None, now: datetime) -> int:
    """Return how many seconds must pass before the next try; 0 when it may be made now."""
    waits = [_wait(session, address, FREE_TRIES_PER_ADDRESS, now)]
    if ip:
        waits.append(_wait(session, f"ip:{ip}", FREE_TRIES_PER_NETWORK, now))
    return max(waits)


def note_attempt(
    session: Session, address: str, ip: str | None, now: datetime, *, succeeded: bool
) -> list[LoginAttempt]:
    """Write the try down and return what was written; the caller commits."""
    subjects = [address, f"ip:{ip}"] if ip else [address]
    tries = [LoginAttempt(subject=subject, at=now, succeeded=succeeded) for subject in subjects]
    session.add_all(tries)
    return tries


def _wait(session: Session, subject: str, free: int, now: datetime) -> int:
    since = max(now - WINDOW, _last_success(session, subject) or now - WINDOW)
    failures, last = session.execute(
        select(func.count(), func.max(LoginAttempt.at)).where(
            LoginAttempt.subject == subject,
            LoginAttempt.at > since,
            LoginAttempt.succeeded.is_(False),
        )
    ).one()
    if failures < free or last is None:
        return 0
    pause = min(WINDOW, timedelta(seconds=2 ** min(failures - free + 2, 20)))
    return max(0, -int((now - (last + pause)).total_seconds() // 1))


def _last_success(session: Session, subject: str) -> datetime | None:
    if subject.startswith("ip:"):
        return None  # one good account must not free a network for guessing at others
    return session.scalar(
        select(func.max(LoginAttempt.at)).where(
            LoginAttempt.subject == subject, LoginAttempt.succeeded.is_(True)
        )
    )
