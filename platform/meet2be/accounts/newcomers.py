"""People who set their first name and password behind a mailed link, and so can log in."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from meet2be.accounts.members import MemberError, end_sessions
from meet2be.accounts.models import User
from meet2be.accounts.passwords import hash_password
from meet2be.accounts.services import normalise_email
from meet2be.accounts.tokens import TokenRefused, end_all
from meet2be.language import Message
from meet2be.plain_text import one_line


class BadName(MemberError):
    """A name that is empty."""

    def __init__(self) -> None:
        super().__init__(Message("Please tell your name"))


class AccountJustMade(MemberError):
    """The address got its account a moment ago, by another link."""

    def __init__(self) -> None:
        super().__init__(
            Message("Your account was made just now, in another window: use its password here")
        )


def known_person(session: Session, email_norm: str) -> User | None:
    """Return the person of an address who has a password to log in with, None for others."""
    user = session.scalar(select(User).where(User.email_norm == email_norm))
    return user if user is not None and user.password_hash is not None else None


def make_person(
    session: Session, email: str, name: str, password: str, locale: str, now: datetime
) -> User:
    """Return the person of an address, with this name and password, who can log in from now on.

    Somebody may have brought the address with a list before: then it is that person, and the links
    that were mailed to them end. Claim the link first: two clicks on it must not come here both.
    Raises ``BadName``, ``WeakPassword``, ``AccountJustMade`` and ``TokenRefused``.
    """
    name = one_line(name)[:200]
    if not name:
        raise BadName
    norm, password_hash = normalise_email(email), hash_password(password)
    user = session.scalar(
        select(User)
        .where(User.email_norm == norm)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if user is None:
        user = _added(session, User(email=email, email_norm=norm, name=name, locale=locale))
    elif user.password_hash is not None:
        raise AccountJustMade
    elif user.status not in {"invited", "active"}:
        raise TokenRefused
    user.name, user.locale, user.status = name, locale, "active"
    user.password_hash = password_hash
    end_sessions(session, user.id, now)
    end_all(session, user.id, now)
    session.flush()
    return user


def _added(session: Session, user: User) -> User:
    """Write somebody new; raises ``AccountJustMade`` when another link was faster."""
    try:
        with session.begin_nested():
            session.add(user)
            session.flush()
    except IntegrityError as error:
        raise AccountJustMade from error
    return user
