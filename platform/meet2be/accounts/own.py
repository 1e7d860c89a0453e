"""What people change about themselves: name, language, time zone, password, their browsers."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from zoneinfo import available_timezones

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from meet2be.accounts.errors import LoginRefused
from meet2be.accounts.members import MemberError, end_sessions
from meet2be.accounts.models import User, WebSession
from meet2be.accounts.newcomers import BadName
from meet2be.accounts.passwords import hash_password
from meet2be.accounts.resets import tell_changed
from meet2be.accounts.services import Browser, SessionLifetime, prove
from meet2be.accounts.tokens import end_all
from meet2be.audit.services import Actor, record
from meet2be.language import LANGUAGES, Message, language_of
from meet2be.mailings.services import Sender
from meet2be.plain_text import one_line

LOCALES = {"en": "en-GB", "de": "de-DE"}
"""The locale that a chosen language means where a person has none of that language yet."""


class BadChoice(MemberError):
    """A language or time zone that does not exist here."""

    def __init__(self) -> None:
        super().__init__(Message("Choose a language and a time zone of the list"))


@cache  # the zones' files are walked through for it, which takes milliseconds
def zones() -> tuple[str, ...]:
    """Return the names of all time zones that people may choose."""
    names = (name for name in available_timezones() if "/" in name and name[:4] != "Etc/")
    return tuple(sorted(names))


def locale_for(language: str, present: str = "") -> str:
    """Return the locale of a chosen language; one of that language stays as it is."""
    return present if language_of(present) == language and present else LOCALES[language]


def change(session: Session, user_id: int, name: str, language: str, timezone: str | None) -> User:
    """Change what a person is called and how the pages speak to them. The caller commits.

    ``timezone`` None: the organisation's. Raises ``BadName`` and ``BadChoice``.
    """
    name = one_line(name)[:200]
    if not name:
        raise BadName
    if language not in LANGUAGES or (timezone is not None and timezone not in zones()):
        raise BadChoice
    user = session.get_one(User, user_id)
    user.name, user.timezone = name, timezone
    user.locale = locale_for(language, user.locale)
    return user


def choose_language(session: Session, user_id: int, language: str) -> None:
    """Speak another language to a person from now on. The caller commits; raises ``BadChoice``."""
    if language not in LANGUAGES:
        raise BadChoice
    user = session.get_one(User, user_id)
    user.locale = locale_for(language, user.locale)


def change_password(
    session: Session,
    user_id: int,
    session_id: int,
    present: str,
    wanted: str,
    browser: Browser,
    now: datetime,
    sender: Sender,
    base_url: str,
) -> int:
    """Give a person a new password and log their other browsers out; returns how many.

    Links that were mailed to choose one end. The caller commits. Raises ``LoginRefused`` or
    ``LoginThrottled`` when the present one is wrong, and ``WeakPassword``.
    """
    new_hash = hash_password(wanted)  # first: a weak wish is no wrong try
    email = session.scalars(select(User.email).where(User.id == user_id)).one()
    user = prove(session, email, present, browser, now)
    if user.id != user_id:
        raise LoginRefused
    user.password_hash = new_hash
    ended = end_sessions(session, user_id, now, but=session_id)
    end_all(session, user_id, now)
    actor = Actor("user", str(user_id), ip=browser.ip, user_agent=browser.user_agent)
    record(session, actor, "password.changed", "user", user.uid)
    tell_changed(session, user, browser, now, sender, base_url)
    return ended


def browsers_of(
    session: Session, user_id: int, now: datetime, lifetime: SessionLifetime
) -> list[WebSession]:
    """Return a person's browsers that are logged in, the one seen last first."""
    return list(
        session.scalars(
            select(WebSession)
            .where(
                WebSession.user_id == user_id,
                WebSession.revoked_at.is_(None),
                WebSession.expires_at > now,
                WebSession.last_seen_at > now - lifetime.idle,
            )
            .order_by(WebSession.last_seen_at.desc())
            .limit(100)
        )
    )


def end_session(session: Session, user_id: int, number: int, now: datetime) -> bool:
    """Log one browser of a person out; False when it is none of theirs. The caller commits."""
    ended = session.execute(
        update(WebSession)
        .where(
            WebSession.id == number,
            WebSession.user_id == user_id,
            WebSession.revoked_at.is_(None),
        )
        .values(revoked_at=now)
        .returning(WebSession.id)
        .execution_options(synchronize_session=False)
    ).all()
    return bool(ended)
