"""Writing notices for people, once per cause, each in its reader's language; marking them read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import CursorResult, func, select, update

from meet2be import facts
from meet2be.language import SOURCE_LANGUAGE, Message
from meet2be.notifications.facts import NoticesWritten
from meet2be.notifications.models import Notification
from meet2be.notifications.preferences import listeners
from meet2be.notifications.readers import readers_of
from meet2be.tenancy.models import Membership

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy.orm import Session

ADMIN_ROLES = ("owner", "admin")
LONGEST_TITLE = 200


@dataclass(frozen=True, slots=True)
class Notice:
    """What is to be said; ``severity`` is ``info``, ``success``, ``warning`` or ``error``.

    ``kind`` is one of ``notifications.kinds``. A ``Message`` is put into each reader's words.
    """

    kind: str
    severity: str
    title: str | Message
    body: str | Message
    dedupe_key: str
    link: str | None = None
    related_type: str | None = None
    related_id: int | None = None


def notify(
    session: Session, tenant_id: int, user_ids: Iterable[int], notice: Notice, now: datetime
) -> int:
    """Write ``notice`` for each user who lacks it; returns how many. The caller commits.

    Nobody is told who is no member any more, or may not log in (see ``readers_of``).
    It goes out by mail and to the organisation's channels as well, by a job of this commit. One
    that a person does not want in the page counts as read.
    """
    wanted = set(user_ids)
    have = session.scalars(
        select(Notification.user_id).where(
            Notification.dedupe_key == notice.dedupe_key, Notification.user_id.in_(wanted)
        )
    )
    locales = readers_of(session, tenant_id, wanted - set(have))
    missing = sorted(locales)
    if not missing:
        return 0
    shown = listeners(session, missing, notice.kind, "page")
    session.add_all(
        _row(
            tenant_id,
            user_id,
            notice,
            locales[user_id],
            now,
            is_shown=user_id in shown,
        )
        for user_id in missing
    )
    facts.note(session, NoticesWritten(tenant_id, notice.dedupe_key))
    return len(missing)


def notify_who_began(
    session: Session, tenant_id: int, user_id: int | None, notice: Notice, now: datetime
) -> int:
    """Write ``notice`` for the person whose doing it tells of; returns how many got it.

    When that person may not be told any more, owners and admins are: somebody has to know.
    """
    if user_id is not None and user_id in readers_of(session, tenant_id, [user_id]):
        return notify(session, tenant_id, [user_id], notice, now)
    return notify_admins(session, tenant_id, notice, now)


def notify_admins(session: Session, tenant_id: int, notice: Notice, now: datetime) -> int:
    """Write ``notice`` for every owner and admin of the tenant; returns how many got it."""
    admins = session.scalars(
        select(Membership.user_id).where(
            Membership.tenant_id == tenant_id, Membership.role.in_(ADMIN_ROLES)
        )
    ).all()
    return notify(session, tenant_id, admins, notice, now)


def renew_for_admins(session: Session, tenant_id: int, notice: Notice, now: datetime) -> None:
    """Write ``notice`` for every owner and admin; who has one of its cause gets the new words.

    It counts as unread again for them, and goes out by no other way a second time.
    """
    written = session.scalars(
        select(Notification).where(
            Notification.tenant_id == tenant_id, Notification.dedupe_key == notice.dedupe_key
        )
    ).all()
    readers = [each.user_id for each in written]
    locales = readers_of(session, tenant_id, readers)
    shown = listeners(session, readers, notice.kind, "page")
    for each in written:
        locale = locales.get(each.user_id, SOURCE_LANGUAGE)
        each.title = _in_words(notice.title, locale)[:LONGEST_TITLE]
        each.body = _in_words(notice.body, locale)
        each.read_at = None if each.user_id in shown else each.read_at
    notify_admins(session, tenant_id, notice, now)


def unread_count(session: Session, user_id: int) -> int:
    """Return how many notices of the session's tenant the user has not read."""
    count = select(func.count()).select_from(Notification)
    mine = (Notification.user_id == user_id, Notification.read_at.is_(None))
    return session.scalar(count.where(*mine)) or 0


def mark_read(session: Session, user_id: int, uid: str | None, now: datetime) -> int:
    """Mark one notice (``uid``) or all as read; returns how many changed. The caller commits."""
    mine = [Notification.user_id == user_id, Notification.read_at.is_(None)]
    if uid is not None:
        mine.append(Notification.uid == uid)
    statement = update(Notification).where(*mine).values(read_at=now)
    changed = session.execute(statement.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", changed).rowcount


def _in_words(text: str | Message, locale: str) -> str:
    return text.in_language(locale) if isinstance(text, Message) else text


def _row(
    tenant_id: int, user_id: int, notice: Notice, locale: str, now: datetime, *, is_shown: bool
) -> Notification:
    return Notification(
        tenant_id=tenant_id,
        user_id=user_id,
        kind=notice.kind,
        severity=notice.severity,
        title=_in_words(notice.title, locale)[:LONGEST_TITLE],
        body=_in_words(notice.body, locale),
        link=notice.link,
        related_type=notice.related_type,
        related_id=notice.related_id,
        dedupe_key=notice.dedupe_key,
        read_at=None if is_shown else now,
        created_at=now,
    )
