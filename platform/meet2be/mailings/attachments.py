"""Files that a mail carries: short ones are written into its row, others stay in the store.

They are read before the mail is claimed, so a store that is away costs nothing: the mail waits. A
file that is gone or too large fails the mail before anything of it has left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from meet2be.errors import Meet2BeError
from meet2be.integrations.storage import ObjectMissing, Store, check_key, is_of_tenant
from meet2be.mailings.message import File

TYPES: Final = frozenset({"application/pdf", "text/calendar", "text/csv", "image/png"})
"""What mail programs show or save; nothing that runs."""
MOST_FILES: Final = 5
MOST_BYTES: Final = 10 * 1024 * 1024
"""Of all files of a mail; base64 makes them a third longer, and many servers stop at 20 MiB."""
LONGEST_TEXT: Final = 64 * 1024
"""UTF-8 bytes of a file in the mail's own row."""


class BadAttachment(Meet2BeError):
    """A file cannot be attached as it was described; a mistake of the caller."""

    def __init__(self, filename: str, why: str) -> None:
        super().__init__(f"the file '{filename}' cannot be attached: {why}")


class AttachmentUnfit(Meet2BeError):
    """A mail's files cannot be sent: one is gone, or they are too large."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file: its ``text``, or the ``key`` under which the store has it.

    Raises ``BadAttachment``, and ``BadKey`` for a key that is none.
    """

    filename: str
    content_type: str
    text: str | None = None
    key: str | None = None

    def __post_init__(self) -> None:
        if self.content_type not in TYPES:
            allowed = ", ".join(sorted(TYPES))
            raise BadAttachment(self.filename, f"'{self.content_type}' is none of {allowed}")
        if (self.text is None) == (self.key is None):
            raise BadAttachment(self.filename, "it has either a text or a key of the store")
        if self.text is not None and len(self.text.encode()) > LONGEST_TEXT:
            why = f"a text has at most {LONGEST_TEXT:,} bytes; put it into the store"
            raise BadAttachment(self.filename, why)
        if self.key is not None:
            check_key(self.key)

    def row(self) -> dict[str, Any]:
        """Return it as the mail's row keeps it."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def in_store(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the keys of those files of a mail that the store has."""
    return [row["key"] for row in rows if row.get("key")]


def read_files(
    rows: Sequence[Mapping[str, Any]], store: Store | None, tenant_uid: str | None
) -> list[File]:
    """Return a mail's files; raises ``AttachmentUnfit``, and ``StoreFailed``.

    A mail carries files of its own organisation only: ``tenant_uid`` names it.
    """
    if len(rows) > MOST_FILES:
        raise AttachmentUnfit(f"the mail has {len(rows)} files, at most {MOST_FILES} may be sent")
    files: list[File] = []
    room = MOST_BYTES
    for attached in (Attachment(**row) for row in rows):
        _check_owner(attached, tenant_uid)
        content = _content(attached, store, room)
        room -= len(content)
        files.append(File(attached.filename, attached.content_type, content))
    return files


def _check_owner(attached: Attachment, tenant_uid: str | None) -> None:
    if attached.key is None:
        return
    if tenant_uid is None or not is_of_tenant(attached.key, tenant_uid):
        raise AttachmentUnfit(f"the file '{attached.filename}' is another organisation's")


def _content(attached: Attachment, store: Store | None, room: int) -> bytes:
    """Return the bytes of one file, of which at most ``room`` may be."""
    if attached.key is None:
        return (attached.text or "").encode()
    if store is None:
        raise AttachmentUnfit(f"no store is set to take the file '{attached.filename}' from")
    try:
        with store.open(attached.key) as file:
            content = file.read(room + 1)
    except ObjectMissing as error:
        raise AttachmentUnfit(f"the file '{attached.filename}' is not kept any more") from error
    if len(content) > room:
        raise AttachmentUnfit(
            f"the files have more than {MOST_BYTES:,} bytes with '{attached.filename}'"
        )
    return content
