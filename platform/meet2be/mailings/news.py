"""What providers tell about mails that left: arrived, came back, reported as spam.

News may come twice, late, in any order, and before our own record of the sending. Each counts
once; a mail's state only moves forward (sent, came back, reported). What names no mail of ours
changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import Table, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from meet2be.mailings.addresses import normal_form
from meet2be.mailings.announcements import announce
from meet2be.mailings.models import EmailLog, Mail, MailNews
from meet2be.mailings.suppressions import suppress

SOFT_BOUNCES: Final = 5
"""So many in the window, with nothing delivered since, and nothing is sent for a while."""
SOFT_WINDOW: Final = timedelta(days=30)
SOFT_PAUSE: Final = timedelta(days=14)
_STATES: Final = {"hard_bounce": "bounced", "complaint": "complained"}
_ORDER: Final = {"bounced": 1, "complained": 2}
_NEWS = cast("Table", MailNews.__table__)
_INSERT_UNSEEN = {
    name: dialect.insert(_NEWS)
    .on_conflict_do_nothing(index_elements=[_NEWS.c.provider, _NEWS.c.key, _NEWS.c.email_norm])
    .returning(_NEWS.c.id)
    for name, dialect in (("postgresql", postgresql), ("sqlite", sqlite))
}


@dataclass(frozen=True, slots=True)
class News:
    """One piece of news about one address; ``key`` is the provider's own name of it.

    ``type`` is ``delivered``, ``soft_bounce``, ``hard_bounce`` or ``complaint``. The mail is named
    by its Message-ID or by what the provider called it.
    """

    provider: str
    key: str
    type: str
    address: str
    occurred_at: datetime
    message_id: str | None = None
    provider_id: str | None = None
    detail: str = ""


def take_in(session: Session, news: News, now: datetime) -> str:
    """Act on a piece of news and return what came of it; a repeat changes nothing.

    For system sessions. The caller commits.
    """
    mail = _mail_of(session, news)
    result = "unknown mail" if mail is None else "kept"
    if mail is not None and mail.to_norm != normal_form(news.address):
        mail, result = None, "another address"
    if not _keep(session, news, mail, result):
        return "repeated"
    if mail is None:
        return result
    _follow(session, mail, news, now)
    return f"{mail.status}"


def _follow(session: Session, mail: Mail, news: News, now: datetime) -> None:
    status = _STATES.get(news.type)
    if status is not None and _ORDER[status] > _ORDER.get(mail.status, 0):
        mail.status, mail.last_error = status, news.detail[:500] or None
        _log(session, mail, status, news, now)
        announce(session, mail, status, now)
    if news.type == "hard_bounce":
        _suppress(session, mail, "hard_bounce", None, news, now)
    elif news.type == "complaint":
        _suppress(session, mail, "complaint", None, news, now)
    elif news.type == "soft_bounce":
        _log(session, mail, "bounced", news, now)
        if _soft_bounces(session, mail, now) >= SOFT_BOUNCES:
            _suppress(session, mail, "hard_bounce", SOFT_PAUSE, news, now)


def _mail_of(session: Session, news: News) -> Mail | None:
    names = []
    if news.message_id:
        given = news.message_id.strip()
        names.append(Mail.message_id == (given if given.startswith("<") else f"<{given}>"))
    if news.provider_id:
        names.append(Mail.provider_id == news.provider_id)
    if not names:
        return None
    return session.scalars(select(Mail).where(or_(*names)).limit(1).with_for_update()).first()


def _keep(session: Session, news: News, mail: Mail | None, result: str) -> bool:
    """Write the news down; False when it was there."""
    connection = session.connection()
    session.flush()
    written = connection.execute(
        _INSERT_UNSEEN[connection.dialect.name],
        {
            "tenant_id": None if mail is None else mail.tenant_id,
            "provider": news.provider,
            "key": news.key[:200],
            "type": news.type,
            "email_norm": normal_form(news.address)[:320],
            "mail_id": None if mail is None else mail.id,
            "detail": news.detail[:500] or None,
            "occurred_at": news.occurred_at,
            "result": result[:120],
        },
    ).first()
    return written is not None


def _soft_bounces(session: Session, mail: Mail, now: datetime) -> int:
    """Return how many soft bounces came since the last mail that arrived."""
    theirs = (
        MailNews.tenant_id.is_not_distinct_from(mail.tenant_id),
        MailNews.email_norm == mail.to_norm,
    )
    arrived: Any = session.scalar(
        select(func.max(MailNews.occurred_at)).where(*theirs, MailNews.type == "delivered")
    )
    since = max(now - SOFT_WINDOW, arrived) if arrived is not None else now - SOFT_WINDOW
    count = select(func.count()).select_from(MailNews)
    soft = (MailNews.type == "soft_bounce", MailNews.occurred_at > since)
    return session.scalar(count.where(*theirs, *soft)) or 0


def _suppress(
    session: Session,
    mail: Mail,
    reason: str,
    valid: timedelta | None,
    news: News,
    now: datetime,
) -> None:
    suppress(
        session,
        mail.tenant_id,
        mail.to_norm,
        reason,
        source_mail_id=mail.id,
        valid=valid,
        now=now,
        note=news.detail[:500] or None,
    )


def _log(session: Session, mail: Mail, outcome: str, news: News, now: datetime) -> None:
    last = select(func.max(EmailLog.n)).where(EmailLog.mail_id == mail.id)
    session.add(
        EmailLog(
            mail_id=mail.id,
            tenant_id=mail.tenant_id,
            user_id=mail.user_id,
            to_norm=mail.to_norm,
            n=(session.scalar(last) or 0) + 1,
            at=now,
            outcome=outcome,
            code=news.type,
            detail=news.detail[:2000] or None,
            transport=news.provider,
        )
    )
    session.flush()
