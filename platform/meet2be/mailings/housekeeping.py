"""What the outbox needs from time to time, whatever its jobs do."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, and_, delete, or_, select, tuple_, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningUpdate

from meet2be.integrations.storage import StoreError, StoreFailed
from meet2be.mailings.attachments import in_store
from meet2be.mailings.courier import release_held
from meet2be.mailings.delivery import MailDeliveries, expire_lost_claims
from meet2be.mailings.models import Mail, MailNews, MailSuppression
from meet2be.tenancy.models import Tenant

_log = logging.getLogger("meet2be.mailings")
A_TIME = 1_000
RETENTION: Final = timedelta(days=90)
SECRETS: Final = timedelta(days=1)
"""For how long the text of a mail that bears a secret is kept once nobody sends it any more."""
PAUSES: Final = timedelta(days=30)
"""For how long an entry stands in the list of suppressed addresses after it has ended."""
_WILL_LEAVE: Final = ("queued", "limited", "held", "sending")


def tidy_tx(deliveries: MailDeliveries) -> None:
    """End lost claims, queue held mails of active organisations, forget what is old."""
    database, now = deliveries.database, deliveries.clock.now()
    with database.system_session("end claims of mails whose sender died") as session:
        while expire_lost_claims(session, deliveries.recorder, now, A_TIME) == A_TIME:
            session.commit()
        session.commit()
    with database.system_session(
        "send the mails of organisations that are active again"
    ) as session:
        held = select(Mail.tenant_id).where(Mail.status == "held").distinct()
        active = select(Tenant).where(Tenant.id.in_(held), Tenant.status == "active")
        for tenant in session.scalars(active).all():
            release_held(session, tenant)
        session.commit()
    for is_over in (old_texts(now), old_secrets(now)):
        _erase_tx(deliveries, is_over)
    with database.system_session("forget what is old of mails") as session:
        for forget in (_forget_old_news, _forget_ended_pauses):
            while forget(session, now) == A_TIME:
                session.commit()
            session.commit()


def old_texts(now: datetime) -> ColumnElement[bool]:
    """Return which mails are so old that only their log stays."""
    return Mail.created_at < now - RETENTION


def old_secrets(now: datetime) -> ColumnElement[bool]:
    """Return which mails have a secret in them that is of no use any more."""
    return and_(Mail.sensitive, Mail.created_at < now - SECRETS)


def _erase_tx(deliveries: MailDeliveries, is_over: ColumnElement[bool]) -> None:
    """Erase the texts of mails, then their files, then the names of these.

    The files are deleted outside of the commits: stores are slow, and SQLite lets one write at a
    time. Killed anywhere in between it leaves mails with an empty text, which the next run finds.
    A store that does not answer is asked once a run: all texts go, the files wait for the next.
    """
    database, after, store_answers = deliveries.database, None, True
    while True:
        with database.system_session("erase the texts of old mails") as session:
            old, claimed = claim_texts(session, is_over, after)
            session.commit()
        free: set[int] = set()
        if store_answers:
            free, store_answers = _without_files(deliveries, claimed)
        with database.system_session("forget the files of old mails") as session:
            _forget_files(session, free)
            session.commit()
        if len(old) < A_TIME:
            return
        # Behind them: some whose files cannot be deleted keep no others from it.
        after = (old[-1].created_at, old[-1].id)


def claim_texts(
    session: Session, is_over: ColumnElement[bool], after: tuple[datetime, int] | None = None
) -> tuple[Sequence[Row[Any]], list[Row[Any]]]:
    """Erase the texts of the next mails; return them, and those that have files in the store.

    The latter have an empty text from now on, so that nobody sends them, or copies of them, again.
    """
    place = Mail.created_at, Mail.id
    wanted = select(*place, Mail.tenant_id, Mail.to_norm, Mail.attachments).where(
        Mail.body_text.is_not(None), is_over, Mail.status.not_in(_WILL_LEAVE)
    )
    if after is not None:
        wanted = wanted.where(tuple_(*place) > tuple_(*after))
    old = session.execute(wanted.order_by(*place).limit(A_TIME)).all()
    having = [mail for mail in old if in_store(mail.attachments or ())]
    claimed = set(session.scalars(_blanked({mail.id for mail in having}, body_text="")))
    others = {mail.id for mail in old} - {mail.id for mail in having}
    session.execute(_blanked(others, body_text=None, attachments=[]))
    return old, [mail for mail in having if mail.id in claimed]


def _forget_files(session: Session, mails: Collection[int]) -> None:
    session.execute(_blanked(mails, body_text=None, attachments=[]))


def _blanked(mails: Collection[int], **values: Any) -> ReturningUpdate[int]:
    # Who was asked to send one of them again meanwhile still has it.
    return (
        update(Mail)
        .where(Mail.id.in_(mails), Mail.status.not_in(_WILL_LEAVE))
        .values(body_html=None, data=None, **values)
        .returning(Mail.id)
        .execution_options(synchronize_session=False)
    )


def _without_files(deliveries: MailDeliveries, mails: Sequence[Row[Any]]) -> tuple[set[int], bool]:
    """Delete files that nobody else needs.

    Return the mails that have none (of their own) left, and whether the store answered.
    """
    if deliveries.store is None or not mails:
        return set(), True
    free: set[int] = set()
    gone = _still_needed(deliveries, mails)
    for mail in mails:
        keys = set(in_store(mail.attachments)) - gone
        try:
            for key in keys:
                deliveries.store.delete(key)
        except StoreError as error:
            _log.warning("the files of an old mail could not be deleted: %s", error)
            if isinstance(error, StoreFailed) and error.is_temporary:
                return free, False
        else:
            gone |= keys
            free.add(mail.id)
    return free, True


def _still_needed(deliveries: MailDeliveries, mails: Sequence[Row[Any]]) -> set[str]:
    """Return the files of other mails that still leave, or can be sent once more.

    A copy, and a confirmation that is mailed again, carries the same file to the same address; it
    is deleted with the last of them.
    """
    with deliveries.database.system_session("files of other mails", read_only=True) as session:
        others = session.scalars(
            select(Mail.attachments).where(
                Mail.tenant_id.in_({mail.tenant_id for mail in mails}),
                Mail.to_norm.in_({mail.to_norm for mail in mails}),
                or_(Mail.status.in_(_WILL_LEAVE), Mail.body_text != ""),
            )
        )
        return {key for attached in others for key in in_store(attached or ())}


def _forget_old_news(session: Session, now: datetime) -> int:
    """Forget what providers told: what followed from it stands on the mail and in the list."""
    old = select(MailNews.id).where(MailNews.created_at < now - RETENTION).limit(A_TIME)
    return _deleted(session, MailNews, old)


def _forget_ended_pauses(session: Session, now: datetime) -> int:
    ended = select(MailSuppression.id).where(MailSuppression.expires_at < now - PAUSES)
    return _deleted(session, MailSuppression, ended.limit(A_TIME))


def _deleted(session: Session, rows: type[MailNews | MailSuppression], wanted: Select[int]) -> int:
    gone = session.execute(
        delete(rows)
        .where(rows.id.in_(wanted))
        .returning(rows.id)
        .execution_options(synchronize_session=False)
    ).all()
    return len(gone)
