"""Logging in and out, and who a browser's cookie stands for.

These work before a tenant is known, on ``Database.system_session``. A cookie holds 256 random bits;
the database holds their SHA-256, so that a stolen copy of it opens no session.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from meet2be.accounts.errors import LoginRefused, LoginThrottled, NoTenant
from meet2be.accounts.hashing import hash_of, new_secret
from meet2be.accounts.models import User, WebSession
from meet2be.accounts.passwords import hash_password, password_fits, should_be_hashed_again
from meet2be.accounts.throttle import note_attempt, seconds_to_wait
from meet2be.mailings.addresses import normal_form
from meet2be.tenancy.models import Membership, Tenant
from meet2be.tenancy.services import in_test_mode

SEEN_EVERY = timedelta(minutes=1)
# Built once: every request of a browser asks it.
_BY_SECRET = (
    select(WebSession, User, Tenant, Membership)
    .join(User, User.id == WebSession.user_id)
    .outerjoin(Tenant, Tenant.id == WebSession.tenant_id)
    .outerjoin(
        Membership,
        (Membership.tenant_id == WebSession.tenant_id) & (Membership.user_id == WebSession.user_id),
    )
    .where(
        WebSession.token_hash == bindparam("token"),
        WebSession.revoked_at.is_(None),
        WebSession.expires_at > bindparam("now"),
        WebSession.last_seen_at > bindparam("seen_after"),
        User.status == "active",
    )
)


@dataclass(frozen=True, slots=True)
class SessionLifetime:
    """How long a browser stays logged in: without a click, and at the most."""

    idle: timedelta = timedelta(minutes=30)
    absolute: timedelta = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Browser:
    """Where a request comes from, as far as it tells."""

    ip: str | None
    user_agent: str | None


@dataclass(frozen=True, slots=True)
class Identity:
    """Who makes a request, in which organisation and role (None: operators without one)."""

    session_id: int
    last_seen_at: datetime
    user_id: int
    user_name: str
    user_email: str
    user_locale: str
    is_operator: bool
    tenant_id: int | None
    tenant_uid: str | None
    tenant_name: str | None
    tenant_timezone: str
    tenant_locale: str
    role: str | None
    timezone: str
    tenant_status: str
    suspended_reason: str | None
    in_test_mode: bool

    @property
    def is_suspended(self) -> bool:
        """Whether the present organisation may change nothing."""
        return self.tenant_id is not None and self.tenant_status != "active"


def normalise_email(address: str) -> str:
    """Return the form of an address that accounts are found by."""
    return normal_form(address)


def log_in(
    session: Session,
    email: str,
    password: str,
    browser: Browser,
    now: datetime,
    lifetime: SessionLifetime,
) -> str:
    """Return the secret for a new session's cookie; commits, also the failed tries.

    Raises ``LoginThrottled``, ``LoginRefused`` or ``NoTenant``.
    """
    user = prove(session, email, password, browser, now)
    tenant_id = _first_tenant(session, user)
    secret = open_session(session, user.id, tenant_id, browser, now, lifetime)
    session.commit()
    return secret


def prove(session: Session, email: str, password: str, browser: Browser, now: datetime) -> User:
    """Return whose address and password these are; commits the try, and that it was a good one.

    Raises ``LoginThrottled`` or ``LoginRefused``.
    """
    address = normalise_email(email)[:320]
    wait = seconds_to_wait(session, address, browser.ip, now)
    if wait:
        raise LoginThrottled(wait)
    user = session.scalar(select(User).where(User.email_norm == address))
    stored = user.password_hash if user and user.status == "active" else None
    # Until it fits it is a failed one: neither many tries at once nor a death in between are free.
    # And nobody waits for SQLite's one writer while a password is hashed.
    tries = note_attempt(session, address, browser.ip, now, succeeded=False)
    session.commit()
    fits = password_fits(stored, password)
    if user is None or stored is None or not fits:
        raise LoginRefused
    anew = hash_password(password) if should_be_hashed_again(stored) else None
    for each in tries:
        each.succeeded = True
    session.commit()
    session.refresh(user, with_for_update={"key_share": True})
    if user.status != "active" or user.password_hash != stored:
        raise LoginRefused  # it was changed, or taken from them, while we looked at it
    if anew:
        user.password_hash = anew
    return user


def identify(
    session: Session, secret: str, now: datetime, lifetime: SessionLifetime
) -> Identity | None:
    """Return who the cookie's secret stands for, None when it is over; writes nothing."""
    asked = {"token": hash_of(secret), "now": now, "seen_after": now - lifetime.idle}
    row = session.execute(_BY_SECRET, asked).one_or_none()
    if row is None:
        return None
    web_session, user, tenant, membership = cast(
        "tuple[WebSession, User, Tenant | None, Membership | None]", tuple(row)
    )
    if tenant is not None and membership is None and not user.is_operator:
        return None  # the membership was taken away
    return _identity(web_session, user, tenant, membership)


def note_seen(session: Session, identity: Identity, now: datetime) -> None:
    """Put the end of an idle session off; commits."""
    session.execute(
        update(WebSession)
        .where(WebSession.id == identity.session_id)
        .values(last_seen_at=now)
        .execution_options(synchronize_session=False)
    )
    session.commit()


def tenants_of(session: Session, identity: Identity) -> list[tuple[str, str]]:
    """Return uid and name of the organisations the person may switch to, by name."""
    wanted = select(Tenant.uid, Tenant.name).order_by(Tenant.name)
    if not identity.is_operator:
        wanted = wanted.join(Membership, Membership.tenant_id == Tenant.id).where(
            Membership.user_id == identity.user_id
        )
    return [(uid, name) for uid, name in session.execute(wanted)]


def switch_tenant(session: Session, identity: Identity, tenant_uid: str) -> bool:
    """Turn the session to another organisation and commit; False when that is not theirs."""
    if tenant_uid not in dict(tenants_of(session, identity)):
        return False
    tenant_id = session.scalar(select(Tenant.id).where(Tenant.uid == tenant_uid))
    session.execute(
        update(WebSession)
        .where(WebSession.id == identity.session_id)
        .values(tenant_id=tenant_id)
        .execution_options(synchronize_session=False)
    )
    session.commit()
    return True


def log_out(session: Session, session_id: int, now: datetime) -> None:
    """End one session; commits."""
    session.execute(
        update(WebSession)
        .where(WebSession.id == session_id)
        .values(revoked_at=now)
        .execution_options(synchronize_session=False)
    )
    session.commit()


def names_of(session: Session, user_ids: Iterable[int]) -> dict[int, str]:
    """Return the names of people by their numbers."""
    wanted = select(User.id, User.name).where(User.id.in_(set(user_ids)))
    return {number: name for number, name in session.execute(wanted)}  # noqa: C416 - rows are no plain tuples to mypy


def _first_tenant(session: Session, user: User) -> int | None:
    mine = select(Membership.tenant_id).where(Membership.user_id == user.id)
    tenant_id = session.scalar(mine.order_by(Membership.id).limit(1))
    if tenant_id is None and user.is_operator:
        tenant_id = session.scalar(select(Tenant.id).order_by(Tenant.id).limit(1))
    if tenant_id is None and not user.is_operator:
        session.commit()
        raise NoTenant
    return tenant_id


def open_session(
    session: Session,
    user_id: int,
    tenant_id: int | None,
    browser: Browser,
    now: datetime,
    lifetime: SessionLifetime,
) -> str:
    """Let a browser in and return the secret for its cookie; the caller commits."""
    secret = new_secret()
    session.add(
        WebSession(
            token_hash=hash_of(secret),
            user_id=user_id,
            tenant_id=tenant_id,
            created_at=now,
            last_seen_at=now,
            expires_at=now + lifetime.absolute,
            ip=browser.ip,
            user_agent=(browser.user_agent or "")[:400] or None,
        )
    )
    return secret


def _identity(
    web_session: WebSession, user: User, tenant: Tenant | None, membership: Membership | None
) -> Identity:
    return Identity(
        session_id=web_session.id,
        last_seen_at=web_session.last_seen_at,
        user_id=user.id,
        user_name=user.name,
        user_email=user.email,
        user_locale=user.locale,
        is_operator=user.is_operator,
        tenant_id=tenant.id if tenant else None,
        tenant_uid=tenant.uid if tenant else None,
        tenant_name=tenant.name if tenant else None,
        tenant_timezone=tenant.timezone if tenant else "UTC",
        tenant_locale=tenant.locale if tenant else user.locale,
        role=membership.role if membership else None,
        timezone=user.timezone or (tenant.timezone if tenant else "UTC"),
        tenant_status=tenant.status if tenant else "active",
        suspended_reason=tenant.suspended_reason if tenant else None,
        in_test_mode=tenant is not None and in_test_mode(tenant),
    )
