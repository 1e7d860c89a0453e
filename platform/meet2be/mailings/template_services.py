"""What organisers do with the texts of mails: read, change, look at, try, take back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from meet2be.audit.services import Actor, record
from meet2be.db import tenant_of
from meet2be.db.columns import new_uid
from meet2be.errors import Meet2BeError
from meet2be.language import LANGUAGES, Message, language_of
from meet2be.mailings.kinds import KINDS, MailKind, kind_of
from meet2be.mailings.models import MailTemplate
from meet2be.mailings.own_texts import OwnText, check
from meet2be.mailings.rendering import Rendered, render, source_of
from meet2be.mailings.services import PRIORITY_NORMAL, MailDraft, Sender, Written, post

MOST_VERSIONS: Final = 100


class TemplateNotEditable(Meet2BeError):
    """A kind of mail has no text that an organisation may change."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(Message("There is no text '%(key)s' to change here", {"key": key}))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text stands: a kind of mail, a language, and an event (None: all of them)."""

    key: str
    locale: str
    event_id: int | None = None


@dataclass(frozen=True, slots=True)
class Branch:
    """A kind of mail with the languages in which there is an own text, and its version."""

    kind: MailKind
    versions: dict[str, int]


@dataclass(frozen=True, slots=True)
class Current:
    """The text that is used at a place: its own (with a version) or one that it falls back to."""

    text: OwnText
    version: int | None
    level: str


def editable_kinds() -> list[MailKind]:
    """Return the kinds of mail whose text an organisation may change."""
    return [kind for kind in KINDS.values() if kind.is_editable]


def locales() -> Sequence[str]:
    """Return the languages that texts are written in."""
    return tuple(LANGUAGES)


def tree(session: Session, event_id: int | None) -> list[Branch]:
    """Return every editable kind with its own texts at one level."""
    rows = session.execute(
        select(MailTemplate.key, MailTemplate.locale, func.max(MailTemplate.version))
        .where(MailTemplate.event_id.is_not_distinct_from(event_id), MailTemplate.active)
        .group_by(MailTemplate.key, MailTemplate.locale)
    ).all()
    return [
        Branch(kind, {locale: version for key, locale, version in rows if key == kind.key})
        for kind in editable_kinds()
    ]


def current(session: Session, place: Place) -> Current:
    """Return the text used at a place; raises ``TemplateNotEditable``."""
    _editable(place)
    own = _active(session, place)
    if own is not None:
        return Current(OwnText(own.subject, own.text, own.html), own.version, "own")
    if place.event_id is not None:
        of_all = _active(session, Place(place.key, place.locale))
        if of_all is not None:
            return Current(OwnText(of_all.subject, of_all.text, of_all.html), None, "organisation")
    return Current(OwnText(*source_of(place.key, place.locale)), None, "platform")


def history(session: Session, place: Place) -> list[MailTemplate]:
    """Return the versions at a place, the newest first."""
    return list(
        session.scalars(_at(place).order_by(MailTemplate.version.desc()).limit(MOST_VERSIONS))
    )


def preview(place: Place, text: OwnText) -> Rendered:
    """Return a text filled in with samples; raises ``BadTemplate`` and ``TemplateNotEditable``."""
    return check(text, _editable(place).samples, place.locale)


def platform_preview(place: Place) -> Rendered:
    """Return our own text filled in with samples."""
    return render(place.key, place.locale, _editable(place).samples)


def save(
    session: Session, place: Place, text: OwnText, actor: Actor, user_id: int | None
) -> MailTemplate:
    """Make a text the one that is used at a place, as its next version. The caller commits.

    Raises ``BadTemplate`` and ``TemplateNotEditable``; of two who save at once one fails.
    """
    preview(place, text)
    last = session.scalar(
        select(func.max(MailTemplate.version)).where(
            MailTemplate.key == place.key,
            MailTemplate.locale == place.locale,
            MailTemplate.event_id.is_not_distinct_from(place.event_id),
        )
    )
    _retire(session, place)
    made = MailTemplate(
        tenant_id=tenant_of(session),
        event_id=place.event_id,
        key=place.key,
        locale=place.locale,
        version=(last or 0) + 1,
        subject=text.subject.strip(),
        text=text.text,
        html=text.html,
        active=True,
        created_by=user_id,
    )
    session.add(made)
    session.flush()
    after = {"key": place.key, "locale": place.locale, "version": made.version}
    record(session, actor, "mail_template.saved", "mail_template", made.uid, after=after)
    return made


def revert(session: Session, place: Place, actor: Actor) -> bool:
    """Go back to the text above a place; False when it had none of its own. The caller commits."""
    _editable(place)
    gone = _retire(session, place)
    if gone:
        before = {"key": place.key, "locale": place.locale, "event": place.event_id}
        record(session, actor, "mail_template.reverted", "mail_template", place.key, before=before)
    return gone


@dataclass(frozen=True, slots=True)
class Tester:
    """Who gets a trial mail: always the person who asks for it."""

    user_id: int
    email: str


def send_test(
    session: Session, place: Place, text: OwnText, who: Tester, sender: Sender, now: datetime
) -> Written:
    """Send a text, filled in with samples, to the person who wrote it. The caller commits.

    It counts in that person's limit. Raises ``BadTemplate``.
    """
    draft = MailDraft(
        tenant_id=tenant_of(session),
        kind="trial",
        template=place.key,
        locale=place.locale,
        to_addr=who.email,
        dedupe_key=f"trial:{new_uid()}",
        context={},
        sender=sender,
        user_id=who.user_id,
        priority=PRIORITY_NORMAL,
        texts=preview(place, text),
        test_mode=True,
    )
    return post(session, draft, now)


def _editable(place: Place) -> MailKind:
    kind = kind_of(place.key)
    if not kind.is_editable or place.locale not in LANGUAGES:
        raise TemplateNotEditable(f"{place.key} ({language_of(place.locale)})")
    return kind


def _at(place: Place) -> Select[MailTemplate]:
    return select(MailTemplate).where(
        MailTemplate.key == place.key,
        MailTemplate.locale == place.locale,
        MailTemplate.event_id.is_not_distinct_from(place.event_id),
    )


def _active(session: Session, place: Place) -> MailTemplate | None:
    newest = _at(place).where(MailTemplate.active).order_by(MailTemplate.version.desc())
    return session.scalars(newest.limit(1)).first()


def _retire(session: Session, place: Place) -> bool:
    gone = session.execute(
        update(MailTemplate)
        .where(
            MailTemplate.key == place.key,
            MailTemplate.locale == place.locale,
            MailTemplate.event_id.is_not_distinct_from(place.event_id),
            MailTemplate.active,
        )
        .values(active=False)
        .returning(MailTemplate.id)
        .execution_options(synchronize_session=False)
    ).all()
    return bool(gone)
