"""What an attendee list can be refused for as a whole; nothing has been changed then."""

from __future__ import annotations

from collections.abc import Sequence

from meet2be.errors import Meet2BeError
from meet2be.language import Message


class ImportRefusedError(Meet2BeError):
    """The file was not taken at all, and nothing was changed."""


class UnreadableFileError(ImportRefusedError):
    """The file could not be opened or read to its end."""

    def __init__(self, name: str, why: str) -> None:
        self.name = name
        self.why = why
        super().__init__(Message("'%(name)s' cannot be read: %(why)s", {"name": name, "why": why}))


class NotAListError(ImportRefusedError):
    """The file is something else than a list of attendees in CSV."""

    def __init__(self, name: str, why: Message | str, row: int | None = None) -> None:
        self.name = name
        self.why = why
        self.row = row
        if row is None:
            super().__init__(f"'{name}': {why}")
        else:
            values = {"name": name, "row": row, "why": why}
            super().__init__(Message("'%(name)s', row %(row)s: %(why)s", values))


class MissingColumnsError(ImportRefusedError):
    """The first row does not name all columns that are needed."""

    def __init__(self, name: str, missing: Sequence[str], found: Sequence[str]) -> None:
        self.name = name
        self.missing = tuple(missing)
        self.found = tuple(found)
        wanted = ", ".join(f"'{column}'" for column in missing)
        has = ", ".join(f"'{column[:40]}'" for column in found[:20]) or "nothing"
        super().__init__(
            f"'{name}' lacks the columns {wanted}. Its first row names {has}. "
            "Name the columns as in docs/reference/attendee-list.md."
        )


class EventClosedError(ImportRefusedError):
    """The event takes no more attendees."""

    def __init__(self, event: str, status: str) -> None:
        self.event = event
        self.status = status
        super().__init__(
            Message(
                "the event '%(event)s' is '%(status)s' and takes no attendees. Import into a draft"
                " or live event.",
                {"event": event, "status": status},
            )
        )
