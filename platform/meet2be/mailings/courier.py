"""What stands between the outbox and a delivery: who still wants a mail, and whose turn it is.

A mail to somebody who was erased is cancelled; one of a suspended organisation is held, unless it
is about other people's money or access; one beyond its reader's limit waits for a free place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, and_, or_, select, update
from sqlalchemy.orm import Session

from meet2be import facts
from meet2be.language import Message
from meet2be.mailings import statements as sql
from meet2be.mailings.delivery import MailDelivery
from meet2be.mailings.facts import MailsQueued
from meet2be.mailings.kinds import kind_of
from meet2be.mailings.limits import free_slot_at, hourly, person_key
from meet2be.mailings.models import EmailLog, Mail
from meet2be.mailings.outcomes import Outcome
from meet2be.mailings.services import note_posted
from meet2be.notifications.services import Notice, notify_admins
from meet2be.tenancy.models import Tenant
from onqueue.limits import Limit

TakeEach = Callable[[Sequence[Limit]], Sequence[float | None]]
SUSPENDED: Final = "the organisation is suspended"
ERASED: Final = "the person was erased"
_TO_BE_SENT: Final = ("queued", "limited", "sending")


def is_wanted(delivery: MailDelivery, mail_id: int) -> bool:
    """Tell whether there is still something to do for a mail: it may be sent or cancelled."""
    with delivery.session(read_only=True) as session:
        status = session.scalar(select(Mail.status).where(Mail.id == mail_id))
    return status in _TO_BE_SENT


def wait_for_slot_tx(delivery: MailDelivery, mail_id: int, wait: float) -> None:
    """Write onto a mail that it waits for its reader's limit, and until when."""
    with delivery.session() as session:
        mail = session.get(Mail, mail_id, with_for_update=True)
        if mail is not None and mail.status in {"queued", "limited"}:
            _limit(session, mail, wait, delivery.clock.now())
            session.commit()


def wake_tx(delivery: MailDelivery, mail_id: int) -> None:
    """Put a mail whose turn has come back among those that are sent."""
    with delivery.session() as session:
        woken = session.execute(
            update(Mail)
            .where(Mail.id == mail_id, Mail.status == "limited")
            .values(status="queued", next_at=None)
            .returning(Mail.id)
            .execution_options(synchronize_session=False)
        ).all()
        if woken:
            session.commit()


def hold_back_tx(delivery: MailDelivery, rows: Sequence[Row[Any]]) -> Sequence[Row[Any]]:
    """Return the rows that may leave; hold or cancel the others."""
    doubtful = [row for row in rows if row.status == "queued" and _is_doubtful(row)]
    if not doubtful:
        return rows
    with delivery.session() as session:
        reasons = _reasons(session, delivery.tenant_id, doubtful)
        for mail_id, (status, reason) in reasons.items():
            session.execute(
                update(Mail)
                .where(Mail.id == mail_id, Mail.status == "queued")
                .values(status=status, last_error=reason)
                .execution_options(synchronize_session=False)
            )
        session.commit()
    return [row for row in rows if row.id not in reasons]


def let_through_tx(
    delivery: MailDelivery, rows: Sequence[Row[Any]], daily: Limit, take_each: TakeEach
) -> Sequence[Row[Any]]:
    """Return the rows within their readers' limits and within ``daily``, their organisation's.

    Each of the others gets a job that waits.
    """
    queued = [row for row in rows if row.status == "queued"]
    people = [person_key(row.tenant_id, row.user_id, row.to_norm) for row in queued]
    late = _late(queued, take_each([hourly(person) for person in people]))
    in_time = [row for row in queued if row.id not in late]
    late |= _late(in_time, take_each([daily] * len(in_time)))
    if not late:
        return rows
    now = delivery.clock.now()
    with delivery.session() as session:
        still = select(Mail).where(Mail.id.in_(late), Mail.status == "queued").order_by(Mail.id)
        for mail in session.scalars(still.with_for_update()):
            _limit(session, mail, late[mail.id], now)
            _note(session, mail)
        session.commit()
    return [row for row in rows if row.id not in late]


def _late(rows: Sequence[Row[Any]], waits: Sequence[float | None]) -> dict[int, float]:
    return {row.id: wait for row, wait in zip(rows, waits, strict=True) if wait is not None}


def release_held(session: Session, tenant: Tenant) -> int:
    """Queue what was held while an organisation was suspended; returns how many.

    The caller commits, after it made the organisation active again.
    """
    held = session.scalars(
        select(Mail)
        .where(Mail.tenant_id == tenant.id, Mail.status == "held")
        .limit(1000)
        .with_for_update(skip_locked=True)  # the operator's click and the schedule's step may meet
    ).all()
    for mail in held:
        mail.status, mail.last_error = "queued", None
        _note(session, mail)
    return len(held)


def cancel_mails_of(session: Session, user_id: int | None, to_norm: str) -> int:
    """Cancel what still waits for a person who is being erased; returns how many.

    Their files go with the next housekeeping that finds them a day old, as those of secrets do.
    """
    waiting = update(Mail).where(Mail.status.in_(("queued", "limited", "held")))
    theirs = Mail.to_norm == to_norm if user_id is None else Mail.user_id == user_id
    gone = session.execute(
        waiting.where(theirs)
        .values(
            # An empty text, and the attachments: the housekeeping finds the mail by them.
            status="cancelled",
            last_error=ERASED,
            body_text="",
            body_html=None,
            data=None,
            sensitive=True,
        )
        .returning(Mail.id)
        .execution_options(synchronize_session=False)
    ).all()
    return len(gone)


def tell_broken_tx(delivery: MailDelivery, reason: str) -> None:
    """Tell the organisation's admins, once an hour, that no mail leaves at the moment."""
    if delivery.tenant_id is None:
        return
    now = delivery.clock.now()
    with delivery.session() as session:
        notice = Notice(
            kind="mail.circuit_open",
            severity="error",
            title=Message("No mail leaves at the moment"),
            body=Message(
                "The mail server refuses us: %(reason)s. Mails wait and leave by themselves when "
                "it takes them again.",
                {"reason": reason[:300]},
            ),
            link="/mail?state=queued",
            dedupe_key=f"mail-circuit:{now:%Y-%m-%dT%H}",
        )
        notify_admins(session, delivery.tenant_id, notice, now)
        session.commit()


def post_again_tx(delivery: MailDelivery, mail_id: int) -> bool:
    """Give a mail a new job that has only waited, for a limit or a mail server; False else.

    A job is not run after its ``retry_until``, however long it was parked.
    """
    with delivery.session() as session:
        mail = session.scalar(
            select(Mail).where(Mail.id == mail_id, or_(Mail.status == "limited", _is_untried()))
        )
        if mail is None:
            return False
        _note(session, mail)
        session.commit()
    return True


def queue_again_tx(delivery: MailDelivery, mails: Sequence[int]) -> set[int]:
    """Give those of ``mails`` a new job that nobody tried, as one job's worth; returns them."""
    with delivery.session() as session:
        wanted = select(Mail.id).where(Mail.id.in_(mails), _is_untried())
        untried = tuple(session.scalars(wanted.order_by(Mail.priority, Mail.id)))
        if untried:
            facts.note(session, MailsQueued(untried))
            session.commit()
    return set(untried)


def _is_untried() -> ColumnElement[bool]:
    tried = select(EmailLog.id).where(EmailLog.mail_id == Mail.id, EmailLog.outcome == "deferred")
    return and_(Mail.status == "queued", ~tried.exists())


def give_up_tx(delivery: MailDelivery, mail_id: int, reason: str) -> None:
    """Mark a mail as failed that nobody will try any more, also one that waits."""
    with delivery.session() as session:
        mail = session.get(Mail, mail_id, with_for_update=True)
        if mail is not None and mail.status in {"queued", "limited"}:
            outcome = Outcome("failed", reason)
            delivery.recorder.record(session, mail, outcome, delivery.clock.now())
            session.commit()


def _note(session: Session, mail: Mail) -> None:
    note_posted(session, mail.id, mail.tenant_id, mail.user_id, mail.to_norm, mail.kind)


def _limit(session: Session, mail: Mail, wait: float, now: datetime) -> None:
    was_waiting = mail.status == "limited"
    mail.status = "limited"
    mail.releases += 1
    mail.next_at = free_slot_at(session, mail, now, wait)
    if was_waiting:
        return
    last = select(EmailLog.n).where(EmailLog.mail_id == mail.id).order_by(EmailLog.n.desc())
    session.add(
        EmailLog(
            mail_id=mail.id,
            tenant_id=mail.tenant_id,
            user_id=mail.user_id,
            to_norm=mail.to_norm,
            n=(session.scalar(last.limit(1)) or 0) + 1,
            at=now,
            outcome="limited",
            detail=f"waits for a free place until {mail.next_at.isoformat(timespec='seconds')}",
        )
    )


def _is_doubtful(row: Row[Any]) -> bool:
    is_held_up = row.tenant_id is not None and not kind_of(row.kind).survives_suspension
    return is_held_up or row.user_id is not None


def _reasons(
    session: Session, tenant_id: int | None, rows: Sequence[Row[Any]]
) -> dict[int, tuple[str, str]]:
    people = sorted({row.user_id for row in rows if row.user_id is not None})
    erased = set(session.connection().execute(sql.ERASED_AMONG, {"people": people}).scalars())
    is_suspended = False
    if tenant_id is not None:
        status = session.scalar(select(Tenant.status).where(Tenant.id == tenant_id))
        is_suspended = status == "suspended"
    reasons: dict[int, tuple[str, str]] = {}
    for row in rows:
        if row.user_id in erased:
            reasons[row.id] = ("cancelled", ERASED)
        elif is_suspended and not kind_of(row.kind).survives_suspension:
            reasons[row.id] = ("held", SUSPENDED)
    return reasons
