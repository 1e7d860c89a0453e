"""How a person wants to hear each kind of notice."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.notifications.kinds import CHANNELS, KINDS, Channel, Kind, kind_of
from meet2be.notifications.models import NotificationPref


@dataclass(frozen=True, slots=True)
class Choice:
    """One kind of notice with what a person (or silence) says about each channel."""

    kind: Kind
    by_channel: dict[Channel, bool]


def choices(session: Session, user_id: int) -> list[Choice]:
    """Return every kind with the person's choices in the session's tenant."""
    said = {
        (row.kind, row.channel): row.enabled
        for row in session.scalars(
            select(NotificationPref).where(NotificationPref.user_id == user_id)
        )
    }
    return [
        Choice(
            kind,
            {channel: said.get((key, channel), kind.comes_by(channel)) for channel in CHANNELS},
        )
        for key, kind in KINDS.items()
    ]


def choose(session: Session, user_id: int, wanted: Collection[tuple[str, str]]) -> None:
    """Let a person hear exactly the pairs of kind and channel that are ``wanted``.

    Urgent kinds stay in the page. What is the default anyway is not kept, so that a later default
    counts. The caller commits.
    """
    kept = {
        (row.kind, row.channel): row
        for row in session.scalars(
            select(NotificationPref).where(NotificationPref.user_id == user_id)
        )
    }
    for key, kind in KINDS.items():
        for channel in CHANNELS:
            is_wanted = (key, channel) in wanted or (channel == "page" and kind.is_urgent)
            row = kept.get((key, channel))
            if is_wanted == kind.comes_by(channel):
                if row is not None:
                    session.delete(row)
            elif row is not None:
                row.enabled = is_wanted
            else:
                session.add(
                    NotificationPref(user_id=user_id, kind=key, channel=channel, enabled=is_wanted)
                )


def listeners(
    session: Session, user_ids: Iterable[int], kind_key: str, channel: Channel
) -> set[int]:
    """Return those of the people who hear a kind through a channel."""
    people, kind = set(user_ids), kind_of(kind_key)
    if not people or (channel == "page" and kind.is_urgent):
        return people
    said = {
        row.user_id: row.enabled
        for row in session.scalars(
            select(NotificationPref).where(
                NotificationPref.user_id.in_(people),
                NotificationPref.kind == kind_key,
                NotificationPref.channel == channel,
            )
        )
    }
    return {person for person in people if said.get(person, kind.comes_by(channel))}
