"""Opening an organisation: asked for on a public page, made when the address is confirmed.

Until its owner has opened the mailed link there is no tenant, no person and nothing that could
send; a link is good for two days. What is answered does not depend on whether the address is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from meet2be.accounts.errors import LoginThrottled
from meet2be.accounts.hashing import hash_of, new_secret
from meet2be.accounts.models import User
from meet2be.accounts.newcomers import make_person
from meet2be.accounts.services import Browser, normalise_email
from meet2be.accounts.throttle import note_attempt, seconds_to_wait
from meet2be.accounts.tokens import TokenRefused
from meet2be.audit.services import Actor, record
from meet2be.db.columns import new_uid
from meet2be.language import Message
from meet2be.mailings.addresses import one_address
from meet2be.mailings.errors import BadAddress
from meet2be.mailings.services import PRIORITY_SECURITY, MailDraft, Sender, post
from meet2be.organisations.details import SLUG, Profile, ProfileRefused, checked
from meet2be.tenancy.models import Membership, SignUp, Tenant

VALID: Final = timedelta(hours=48)
CONFIRM_LIMIT: Final = 10_000
RESERVED: Final = frozenset({"admin", "api", "meet2be", "operator", "platform", "support", "www"})


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody filled in; ``locale`` is also the language of the mail."""

    email: str
    name: str
    slug: str
    timezone: str
    currency: str
    locale: str


def ask(
    session: Session, wish: Wish, browser: Browser, now: datetime, sender: Sender, base_url: str
) -> SignUp:
    """Keep the wish and mail its link; commits.

    Raises ``ProfileRefused`` with the field that is wrong, and ``LoginThrottled``.
    """
    profile = checked(
        Profile(wish.name, wish.locale, wish.timezone, wish.currency, CONFIRM_LIMIT, None)
    )
    slug = _free_slug(session, wish.slug)
    try:
        email = one_address(wish.email)
    except BadAddress as error:
        raise ProfileRefused("email", Message("This is not one e-mail address")) from error
    _brake(session, email, browser, now)
    _forget_old(session, now)
    secret = new_secret()
    found = SignUp(
        email=email, email_norm=normalise_email(email), tenant_name=profile.name, slug=slug,
        timezone=profile.timezone, currency=profile.currency, locale=profile.locale,
        token_hash=hash_of(secret), expires_at=now + VALID,
    )  # fmt: skip
    session.add(found)
    session.flush()
    draft = MailDraft(
        tenant_id=None,
        kind="sign_up",
        template="sign_up",
        locale=profile.locale,
        to_addr=email,
        dedupe_key=f"sign_up:{new_uid()}",
        context={
            "tenant_name": profile.name,
            "link": f"{base_url}/signup/{secret}",
            "hours": int(VALID.total_seconds() // 3600),
        },
        sender=sender,
        priority=PRIORITY_SECURITY,
        sensitive=True,
    )
    post(session, draft, now)
    session.commit()
    return found


def find_by_secret(session: Session, secret: str, now: datetime) -> SignUp:
    """Return the wish behind a link; raises ``TokenRefused``."""
    found = session.scalar(
        select(SignUp).where(
            SignUp.token_hash == hash_of(secret),
            SignUp.confirmed_at.is_(None),
            SignUp.expires_at > now,
        )
    )
    if found is None:
        raise TokenRefused
    return found


def confirm(session: Session, secret: str, user: User, browser: Browser, now: datetime) -> Tenant:
    """Make the organisation with that person as its owner. The caller commits.

    Raises ``TokenRefused`` (also for anybody else's link) and ``ProfileRefused`` when the short
    name was taken meanwhile.
    """
    found = find_by_secret(session, secret, now)
    if found.email_norm != user.email_norm or user.status != "active":
        raise TokenRefused
    _claim(session, found, now)
    return _opened(session, found, user, browser)


def confirm_as_new(
    session: Session, secret: str, name: str, password: str, browser: Browser, now: datetime
) -> tuple[User, Tenant]:
    """Make the organisation and its owner, with that name and password.

    The caller commits, and rolls back after an error: the link is used up first, so that of two
    clicks the second finds it so. Raises what `confirm` and `make_person` raise.
    """
    found = find_by_secret(session, secret, now)
    _claim(session, found, now)
    user = make_person(session, found.email, name, password, found.locale, now)
    return user, _opened(session, found, user, browser)


def _claim(session: Session, found: SignUp, now: datetime) -> None:
    """Use a wish up; of two at the same time one gets it. Raises ``TokenRefused``."""
    used = session.execute(
        update(SignUp)
        .where(SignUp.id == found.id, SignUp.confirmed_at.is_(None))
        .values(confirmed_at=now)
        .returning(SignUp.id)
        .execution_options(synchronize_session=False)
    ).all()
    if not used:
        raise TokenRefused


def _opened(session: Session, found: SignUp, user: User, browser: Browser) -> Tenant:
    tenant = Tenant(
        uid=new_uid(), slug=found.slug, name=found.tenant_name, locale=found.locale,
        timezone=found.timezone, currency=found.currency, confirm_limit_minor=CONFIRM_LIMIT,
        settings={},
    )  # fmt: skip
    session.add(tenant)
    try:
        session.flush()
    except IntegrityError as error:
        session.rollback()
        raise _slug_taken() from error
    session.add(Membership(tenant_id=tenant.id, user_id=user.id, role="owner"))
    found.tenant_id = tenant.id
    actor = Actor("user", str(user.id), ip=browser.ip, user_agent=browser.user_agent)
    record(
        session, actor, "tenant.opened", "tenant", tenant.uid,
        after={"slug": tenant.slug}, reason="signed up", tenant_id=tenant.id,
    )  # fmt: skip
    return tenant


def _free_slug(session: Session, text: str) -> str:
    slug = text.strip().lower()
    if not SLUG.fullmatch(slug):
        why = Message("Use 3 to 40 of a–z, 0–9 and hyphens, none at the ends")
        raise ProfileRefused("slug", why)
    taken = session.scalar(select(Tenant.id).where(Tenant.slug == slug))
    if slug in RESERVED or taken is not None:
        raise _slug_taken()
    return slug


def _slug_taken() -> ProfileRefused:
    return ProfileRefused("slug", Message("This short name is taken: choose another one"))


def _brake(session: Session, email: str, browser: Browser, now: datetime) -> None:
    """Count the try; raises ``LoginThrottled`` for too many of an address or a network."""
    address, network = f"signup:{normalise_email(email)[:300]}", browser.ip
    wait = seconds_to_wait(session, address, f"signup:{network}" if network else None, now)
    if wait:
        raise LoginThrottled(wait)
    note_attempt(session, address, f"signup:{network}" if network else None, now, succeeded=False)


def _forget_old(session: Session, now: datetime) -> None:
    session.execute(
        delete(SignUp)
        .where(SignUp.expires_at < now - VALID, SignUp.confirmed_at.is_(None))
        .execution_options(synchronize_session=False)
    )
