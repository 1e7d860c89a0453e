"""What happens with events, in the past tense; jobs are hung onto these."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EventDataStale:
    """Something was sold, cancelled or paid back: the event's figures are old."""

    event_uid: str
