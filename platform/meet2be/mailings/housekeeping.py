"""What the outbox needs from time to time, whatever its jobs do."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Select, and_, delete, select, update
from sqlalchemy.orm import Session

from meet2be.integrations.storage import Store, StoreError
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
    with database.system_session("forget what is old of mails") as session:
        for erase in (erase_old_texts, erase_secrets):
            while erase(session, now, deliveries.store) == A_TIME:
                session.commit()
            session.commit()
        for forget in (_forget_old_news, _forget_ended_pauses):
            while forget(session, now) == A_TIME:
                session.commit()
            session.commit()


def erase_old_texts(session: Session, now: datetime, store: Store | None) -> int:
    """Erase the texts and files of some old mails and return of how many; their log stays."""
    return _erase(session, Mail.created_at < now - RETENTION, store)


def erase_secrets(session: Session, now: datetime, store: Store | None) -> int:
    """Erase the texts of some mails with a secret, which is of no use after a day."""
    return _erase(session, and_(Mail.sensitive, Mail.created_at < now - SECRETS), store)


def _erase(session: Session, is_over: ColumnElement[bool], store: Store | None) -> int:
    old = session.execute(
        select(Mail.id, Mail.attachments)
        .where(Mail.body_text.is_not(None), is_over, Mail.status.not_in(_WILL_LEAVE))
        .limit(A_TIME)
    ).all()
    # Before their names are forgotten: a run that is killed in between deletes them once more.
    free = [mail.id for mail in old if _are_deleted(in_store(mail.attachments or ()), store)]
    session.execute(
        update(Mail)
        .where(Mail.id.in_(free), Mail.status.not_in(_WILL_LEAVE))
        .values(body_text=None, body_html=None, data=None, attachments=[])
        .execution_options(synchronize_session=False)
    )
    return len(free)


def _are_deleted(keys: Sequence[str], store: Store | None) -> bool:
    """Delete files of the store; tells whether they are gone."""
    if store is None:
        return not keys
    try:
        for key in keys:
            store.delete(key)
    except StoreError as error:
        _log.warning("the files of an old mail could not be deleted: %s", error)
        return False
    return True


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
