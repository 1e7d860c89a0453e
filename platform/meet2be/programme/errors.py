"""What cannot be said of an event or a kind of ticket, in words for the organiser."""

from __future__ import annotations

from meet2be.errors import Meet2BeError
from meet2be.language import Message


class ProgrammeError(Meet2BeError):
    """The root of this domain's errors."""


class UnknownEntry(ProgrammeError):
    """No event or kind of ticket of that name here."""

    def __init__(self, name: str) -> None:
        """Keep what was asked for."""
        self.name = name
        super().__init__(Message("There is no “%(name)s” here.", {"name": name}))


class EntryRefused(ProgrammeError):
    """A field that cannot be so; ``field`` is its name in forms and in the API."""

    def __init__(self, field: str, why: Message) -> None:
        """Keep which field it is."""
        self.field = field
        super().__init__(why)


class NotInState(ProgrammeError):
    """The event, or the kind of ticket, is in a state that does not allow it."""


class TooManyEvents(ProgrammeError):
    """The organisation has as many events as it may."""
