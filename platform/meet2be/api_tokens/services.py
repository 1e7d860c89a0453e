"""The verbs on tokens: make one, revoke it, and find out who shows one."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from meet2be.accounts.hashing import hash_of
from meet2be.accounts.models import User
from meet2be.api_tokens.errors import RefusedToken, UnknownToken
from meet2be.api_tokens.models import LONGEST_NAME, ApiToken
from meet2be.api_tokens.scopes import SCOPES, allowed_scopes
from meet2be.audit.services import Actor, record
from meet2be.db.columns import UID_LENGTH, new_uid
from meet2be.language import N_, Message
from meet2be.plain_text import one_line
from meet2be.tenancy.models import Membership, Tenant

MARK: Final = "m2b"
MOST_TOKENS: Final = 100
LONGEST_LIFE: Final = timedelta(days=365)
SEEN_EVERY: Final = timedelta(minutes=1)
TOKEN: Final = "api_token"  # noqa: S105 - the name of a kind of thing
_LENGTH: Final = len(MARK) + UID_LENGTH + 64 + 2


@dataclass(frozen=True, slots=True)
class TokenDraft:
    """A token as somebody wishes it; without ``days`` it does not expire."""

    name: str
    scopes: tuple[str, ...]
    days: int | None = 90


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a token stands for now: its scopes are those that its person still may have."""

    token_id: int
    token_uid: str
    last_used_at: datetime | None
    scopes: frozenset[str]
    user_id: int
    user_locale: str
    role: str
    tenant_id: int
    tenant_uid: str
    tenant_name: str
    tenant_status: str
    tenant_locale: str
    tenant_timezone: str
    expires_at: datetime | None


def make_token(
    session: Session, draft: TokenDraft, user_id: int, actor: Actor, now: datetime
) -> tuple[ApiToken, str]:
    """Return a new token of a person, and its text, which nobody is shown again.

    Raises ``RefusedToken``: for an unknown scope, and for one that the person may not have.
    """
    name = one_line(draft.name)
    if not name or len(name) > LONGEST_NAME:
        raise RefusedToken("name", Message(N_("Give the token a name of up to 120 characters.")))
    _check_scopes(session, draft.scopes, user_id)
    if draft.days is not None and not 1 <= draft.days <= LONGEST_LIFE.days:
        raise RefusedToken("days", Message(N_("A token lives between 1 and 365 days.")))
    live = select(func.count()).select_from(ApiToken).where(ApiToken.revoked_at.is_(None))
    if (session.scalar(live) or 0) >= MOST_TOKENS:
        raise RefusedToken(
            "name",
            Message(N_("There are %(most)s tokens. Revoke one first."), {"most": MOST_TOKENS}),
        )
    uid = new_uid()
    text = f"{MARK}_{uid}_{secrets.token_hex(32)}"
    token = ApiToken(
        uid=uid,
        user_id=user_id,
        name=name,
        prefix=f"{MARK}_{uid}",
        token_hash=hash_of(text),
        scopes=[key for key in SCOPES if key in draft.scopes],
        expires_at=None if draft.days is None else now + timedelta(days=draft.days),
    )
    session.add(token)
    session.flush()
    told = {"name": name, "scopes": token.scopes, "days": draft.days}
    record(session, actor, f"{TOKEN}.made", TOKEN, uid, after=told)
    return token, text


def revoke_token(session: Session, uid: str, actor: Actor, now: datetime) -> bool:
    """End a token; tells whether that was still to do. Raises ``UnknownToken``."""
    token = session.scalar(select(ApiToken).where(ApiToken.uid == uid).with_for_update())
    if token is None:
        raise UnknownToken(uid)
    if token.revoked_at is not None:
        return False
    token.revoked_at = now
    record(session, actor, f"{TOKEN}.revoked", TOKEN, uid, before={"name": token.name})
    return True


def end_tokens_of(session: Session, user_id: int, actor: Actor, now: datetime) -> int:
    """End all tokens of somebody who leaves the session's tenant; returns how many."""
    live = session.scalars(
        select(ApiToken)
        .where(ApiToken.user_id == user_id, ApiToken.revoked_at.is_(None))
        .order_by(ApiToken.id)
        .with_for_update()
    ).all()
    for token in live:
        token.revoked_at = now
        record(
            session, actor, f"{TOKEN}.revoked", TOKEN, token.uid,
            before={"name": token.name}, reason="the person was removed",
        )  # fmt: skip
    return len(live)


def tokens_of_tenant(session: Session) -> Sequence[ApiToken]:
    """Return the organisation's tokens, the newest first; long revoked ones are left out."""
    newest = select(ApiToken).order_by(ApiToken.revoked_at.is_not(None), ApiToken.id.desc())
    return session.scalars(newest.limit(2 * MOST_TOKENS)).all()


def role_of(session: Session, user_id: int) -> str | None:
    """Return a person's role in the session's tenant, None when they have none."""
    return session.scalar(select(Membership.role).where(Membership.user_id == user_id))


def find_caller(session: Session, text: str, now: datetime) -> Caller | None:
    """Return whom a token stands for; None when it is unknown, over, or its person is gone.

    For system sessions: the token says which tenant it is for.
    """
    uid = _uid_in(text)
    if uid is None:
        return None
    row = session.execute(
        select(ApiToken, User, Tenant, Membership.role)
        .join(User, User.id == ApiToken.user_id)
        .join(Tenant, Tenant.id == ApiToken.tenant_id)
        .join(
            Membership,
            (Membership.tenant_id == ApiToken.tenant_id) & (Membership.user_id == ApiToken.user_id),
        )
        .where(
            ApiToken.uid == uid,
            ApiToken.revoked_at.is_(None),
            or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > now),
            # Who left and came back has another place: what was made under the old one is over.
            ApiToken.created_at >= Membership.created_at,
            User.status == "active",
        )
    ).one_or_none()
    if row is None or not hmac.compare_digest(row[0].token_hash, hash_of(text)):
        return None
    return _caller(*cast("tuple[ApiToken, User, Tenant, str]", tuple(row)))


def note_used(session: Session, caller: Caller, ip: str | None, now: datetime) -> None:
    """Write down that a token was used, and from where; at most once a minute. Commits."""
    session.execute(
        update(ApiToken)
        .where(ApiToken.id == caller.token_id)
        .values(last_used_at=now, last_used_ip=ip)
        .execution_options(synchronize_session=False)
    )
    session.commit()


def _caller(token: ApiToken, user: User, tenant: Tenant, role: str) -> Caller:
    return Caller(
        token_id=token.id,
        token_uid=token.uid,
        last_used_at=token.last_used_at,
        scopes=frozenset(allowed_scopes(role, cast("list[str]", token.scopes))),
        user_id=user.id,
        user_locale=user.locale,
        role=role,
        tenant_id=tenant.id,
        tenant_uid=tenant.uid,
        tenant_name=tenant.name,
        tenant_status=tenant.status,
        tenant_locale=tenant.locale,
        tenant_timezone=tenant.timezone,
        expires_at=token.expires_at,
    )


def _check_scopes(session: Session, wanted: Collection[str], user_id: int) -> None:
    if not wanted:
        raise RefusedToken("scopes", Message(N_("Choose what the token may do.")))
    unknown = next((key for key in wanted if key not in SCOPES), None)
    if unknown is not None:
        raise RefusedToken(
            "scopes", Message(N_("There is no permission '%(key)s'."), {"key": unknown[:60]})
        )
    may = allowed_scopes(role_of(session, user_id))
    beyond: Any = next((key for key in wanted if key not in may), None)
    if beyond is not None:
        raise RefusedToken(
            "scopes",
            Message(
                N_("You may not '%(key)s' in this organisation, so no token of yours may."),
                {"key": beyond},
            ),
        )


def _uid_in(text: str) -> str | None:
    """Return the uid in what looks like a token, None for anything else."""
    parts = text.split("_")
    looks_right = len(text) == _LENGTH and len(parts) == 3 and parts[0] == MARK and text.isascii()
    return parts[1] if looks_right and len(parts[1]) == UID_LENGTH else None
