"""The mailed code that confirms a cancellation above the tenant's limit."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, func, select, update
from sqlalchemy.orm import Session

from meet2be import money
from meet2be.accounts.models import User
from meet2be.cancellations.context import Desk
from meet2be.cancellations.errors import (
    CodeExpired,
    CodeNeeded,
    RunNotInState,
    TooManyCodes,
    UnknownRun,
    WrongCode,
)
from meet2be.cancellations.models import CancelRun
from meet2be.cancellations.preview import Preview
from meet2be.db import clock_of
from meet2be.db.columns import new_uid
from meet2be.events.models import Event
from meet2be.mailings.models import Mail
from meet2be.mailings.services import PRIORITY_SECURITY, MailDraft, post, sender_of
from meet2be.tenancy.models import Tenant

DIGITS = 8
VALID = timedelta(minutes=15)
TRIES = 5
# Of one person for one event while a code is valid: new codes are no way to new tries.
MOST_CODES = 5


def exceeds_limit(preview: Preview, limit_minor: int, currency: str) -> bool:
    """Tell whether this preview needs a code: above the limit, or any sum in another currency."""
    sums = preview.sent_minor
    for name, amount in preview.manual_minor.items():
        sums[name] = sums.get(name, 0) + amount
    return any(amount > (limit_minor if name == currency else 0) for name, amount in sums.items())


def needs_code(desk: Desk, tenant_id: int, run_uid: str) -> bool:
    """Tell whether confirming this run needs a code."""
    with desk.db.tenant_session(tenant_id, read_only=True) as session:
        run = _run(session, run_uid)
        tenant = session.scalars(select(Tenant)).one()
        preview = Preview.from_json(run.preview)
        return exceeds_limit(preview, tenant.confirm_limit_minor, tenant.currency)


def send_code(session: Session, desk: Desk, run_uid: str, user_id: int) -> None:
    """Mail a new code to the person who wants to confirm; older ones end. The caller commits.

    Raises ``UnknownRun``, ``RunNotInState``, ``TooManyCodes``.
    """
    run = _run(session, run_uid)
    if run.state != "preview":
        raise RunNotInState(run.uid, run.state, "confirmed")
    now = clock_of(session).now()
    if _mailed_since(session, run, user_id, now - VALID) >= MOST_CODES:
        raise TooManyCodes(MOST_CODES, int(VALID.total_seconds() // 60))
    code = "".join(secrets.choice("0123456789") for _ in range(DIGITS))
    run.code_hash, run.code_expires_at, run.code_tries = _hashed(run, user_id, code), now + VALID, 0
    post(session, _draft(session, desk, run, user_id, code), now)


def check_code_tx(
    desk: Desk, tenant_id: int, run_uid: str, code: str | None, user_id: int | None
) -> None:
    """Count the try, in a commit of its own, and raise unless the code was mailed to this person.

    Raises ``CodeNeeded``, ``CodeExpired`` or ``WrongCode``.
    """
    with desk.db.tenant_session(tenant_id) as session:
        run = _run(session, run_uid)
        if not code:
            tenant = session.scalars(select(Tenant)).one()
            raise CodeNeeded(tenant.confirm_limit_minor, tenant.currency)
        now = clock_of(session).now()
        counted = session.execute(
            update(CancelRun)
            .where(
                CancelRun.id == run.id,
                CancelRun.code_hash.is_not(None),
                CancelRun.code_expires_at > now,
                CancelRun.code_tries < TRIES,
            )
            .values(code_tries=CancelRun.code_tries + 1)
            .execution_options(synchronize_session=False)
        )
        session.commit()
        if cast("CursorResult[Any]", counted).rowcount != 1:
            raise CodeExpired
        session.refresh(run)
        typed = _hashed(run, user_id, "".join(code.split()))
        if not hmac.compare_digest(typed, run.code_hash or ""):
            raise WrongCode(TRIES - run.code_tries)


def _hashed(run: CancelRun, user_id: int | None, code: str) -> str:
    # The run's own name salts it, five tries protect it; nobody else's mailbox will do.
    return hashlib.sha256(f"{run.uid}:{user_id}:{code}".encode()).hexdigest()


def _run(session: Session, run_uid: str) -> CancelRun:
    run = session.scalar(select(CancelRun).where(CancelRun.uid == run_uid))
    if run is None:
        raise UnknownRun(run_uid)
    return run


def _mailed_since(session: Session, run: CancelRun, user_id: int, since: datetime) -> int:
    previews = select(CancelRun.id).where(
        CancelRun.event_id == run.event_id, CancelRun.state == "preview"
    )
    counted = select(func.count(Mail.id)).where(
        Mail.related_type == "cancel_run",
        Mail.related_id.in_(previews),
        Mail.kind == "confirmation_code",
        Mail.user_id == user_id,
        Mail.created_at > since,
    )
    return session.scalar(counted) or 0


def _draft(session: Session, desk: Desk, run: CancelRun, user_id: int, code: str) -> MailDraft:
    user = session.get_one(User, user_id)
    event = session.get_one(Event, run.event_id)
    tenant = session.scalars(select(Tenant)).one()
    return MailDraft(
        tenant_id=run.tenant_id,
        kind="confirmation_code",
        template="confirmation_code",
        locale=user.locale,
        to_addr=user.email,
        # Each code is a mail of its own.
        dedupe_key=f"cancel-code:{run.id}:{new_uid()}",
        context={
            "name": user.name,
            "code": code,
            "event_title": event.title,
            "total": _total(Preview.from_json(run.preview), user.locale),
            "minutes": int(VALID.total_seconds() // 60),
            "tenant_name": tenant.name,
        },
        sender=sender_of(tenant, desk.sender),
        user_id=user.id,
        priority=PRIORITY_SECURITY,
        related_type="cancel_run",
        related_id=run.id,
        sensitive=True,
    )


def _total(preview: Preview, locale: str) -> str:
    """Return what will be refunded, as the reader writes money."""
    amounts = (*preview.sent_minor.items(), *preview.manual_minor.items())
    return " + ".join(money.format_minor(amount, name, locale) for name, amount in amounts)
