"""Files that a mail carries: short texts, written into its row with its own text.

So what was to be sent is known in the commit of its cause, goes with the mail's text when that is
erased, and needs nothing but the database to leave.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

from meet2be.errors import Meet2BeError
from meet2be.mailings.message import File

TYPES: Final = frozenset({"text/calendar", "text/csv"})
"""What mail programs show or save; nothing that runs."""
LONGEST_TEXT: Final = 64 * 1024
"""UTF-8 bytes of a file. What is larger is led to by a link in the mail."""


class BadAttachment(Meet2BeError):
    """A file cannot be attached as it was described; a mistake of the caller."""

    def __init__(self, filename: str, why: str) -> None:
        super().__init__(f"the file '{filename}' cannot be attached: {why}")


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file; raises ``BadAttachment`` for one of another type, or that is too long."""

    filename: str
    content_type: str
    text: str

    def __post_init__(self) -> None:
        if self.content_type not in TYPES:
            allowed = ", ".join(sorted(TYPES))
            raise BadAttachment(self.filename, f"'{self.content_type}' is none of {allowed}")
        if len(self.text.encode()) > LONGEST_TEXT:
            why = f"it has more than {LONGEST_TEXT:,} bytes; link to it instead"
            raise BadAttachment(self.filename, why)

    def row(self) -> dict[str, str]:
        """Return it as the mail's row keeps it."""
        return asdict(self)

    def file(self) -> File:
        """Return it as it goes over the wire."""
        return File(self.filename, self.content_type, self.text.encode())
