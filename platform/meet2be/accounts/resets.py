"""A new password for whoever has lost theirs, and the first one of whoever was welcomed.

Asking gives the same answer for every address, and is braked like guessing is. The link is good
once, for an hour; with the new password all browsers of the person are logged out, and a mail says
that it was changed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.accounts.errors import LoginThrottled
from meet2be.accounts.members import end_sessions
from meet2be.accounts.models import User
from meet2be.accounts.passwords import hash_password
from meet2be.accounts.services import Browser, normalise_email
from meet2be.accounts.throttle import note_attempt, seconds_to_wait
from meet2be.accounts.tokens import TokenRefused, end_all, issue, look_up, redeem
from meet2be.audit.services import Actor, record
from meet2be.db.columns import new_uid
from meet2be.mailings.services import PRIORITY_SECURITY, MailDraft, Sender, post

RESET: Final = "password_reset"
WELCOME: Final = "welcome"
VALID: Final = timedelta(hours=1)
PLATFORM: Final = "Meet2Be"


def ask(
    session: Session,
    email: str,
    browser: Browser,
    now: datetime,
    sender: Sender,
    base_url: str,
) -> None:
    """Mail a link to choose a new password, if the address is somebody's; commits.

    Nothing tells whether it is. Raises ``LoginThrottled``, also for addresses of nobody.
    """
    norm = normalise_email(email)[:300]
    address, network = f"reset:{norm}", browser.ip and f"reset:{browser.ip}"
    wait = seconds_to_wait(session, address, network, now)
    if wait:
        raise LoginThrottled(wait)
    note_attempt(session, address, network, now, succeeded=False)
    user = session.scalar(select(User).where(User.email_norm == norm))
    if user is not None and user.status in {"active", "invited"}:
        secret = issue(session, user.id, RESET, VALID, now)
        context = {"link": f"{base_url}/password/{secret}", "minutes": VALID.seconds // 60}
        _mail(session, user, RESET, context, sender, now)
        actor = Actor("user", str(user.id), ip=browser.ip, user_agent=browser.user_agent)
        record(session, actor, "password.reset_asked", "user", user.uid)
    session.commit()


def whose(session: Session, secret: str, purpose: str, now: datetime) -> User:
    """Return whose password a link lets choose, without using it up; raises ``TokenRefused``."""
    token = look_up(session, secret, purpose, now)
    return _person(session.get_one(User, token.user_id), purpose)


def choose(
    session: Session,
    secret: str,
    purpose: str,
    password: str,
    browser: Browser,
    now: datetime,
    sender: Sender,
    base_url: str,
) -> tuple[User, int | None]:
    """Use a link up, set the password, and end all other links and log-ins of the person.

    Returns the person and which organisation welcomed them. The caller commits. Raises
    ``WeakPassword`` (the link stays good) and ``TokenRefused``.
    """
    token = look_up(session, secret, purpose, now)
    # Of two links of a person that are opened at once, the second sees what the first did.
    found = session.get_one(User, token.user_id, with_for_update=True, populate_existing=True)
    user = _person(found, purpose)
    user.password_hash = hash_password(password)
    token = redeem(session, secret, purpose, now)
    user.status = "active"
    end_sessions(session, user.id, now)
    end_all(session, user.id, now)
    actor = Actor("user", str(user.id), ip=browser.ip, user_agent=browser.user_agent)
    action = "password.reset" if purpose == RESET else "password.chosen"
    record(session, actor, action, "user", user.uid, tenant_id=token.tenant_id)
    if purpose == RESET:
        tell_changed(session, user, browser, now, sender, base_url)
    return user, token.tenant_id


def tell_changed(
    session: Session, user: User, browser: Browser, now: datetime, sender: Sender, base_url: str
) -> None:
    """Tell a person by mail that their password was changed. The caller commits."""
    context = {"at": now, "ip": browser.ip or "", "link": f"{base_url}/password"}
    _mail(session, user, "password_changed", context, sender, now)


def _person(user: User, purpose: str) -> User:
    """Return the person of a link; a welcome is for whoever has no password yet."""
    is_late = purpose == WELCOME and user.password_hash is not None
    if is_late or user.status not in {"active", "invited"}:
        raise TokenRefused
    return user


def _mail(
    session: Session,
    user: User,
    kind: str,
    context: dict[str, object],
    sender: Sender,
    now: datetime,
) -> None:
    draft = MailDraft(
        tenant_id=None,
        kind=kind,
        template=kind,
        locale=user.locale,
        to_addr=user.email,
        dedupe_key=f"{kind}:{user.id}:{new_uid()}",
        context={"name": user.name, "tenant_name": PLATFORM, **context},
        sender=sender,
        user_id=user.id,
        priority=PRIORITY_SECURITY,
        sensitive=kind == RESET,
    )
    post(session, draft, now)
