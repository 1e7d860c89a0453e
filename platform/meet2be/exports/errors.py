"""What exporting refuses, each with what to do."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any, Final

from meet2be.errors import Meet2BeError
from meet2be.integrations.storage import StoreFailed
from meet2be.language import N_, Message, unexpected

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class ExportError(Meet2BeError):
    """The root of this domain's errors."""


class UnknownExport(ExportError):
    """No export, preset or schedule of this tenant has that id."""

    def __init__(self, uid: str) -> None:
        self.uid = uid
        super().__init__(
            Message(N_("There is no export '%(uid)s' here. Open it from the list."), {"uid": uid})
        )


class BadExport(ExportError):
    """A wish that cannot be; ``problems`` has a sentence for each field by its name."""

    def __init__(self, problems: Mapping[str, Message]) -> None:
        self.problems = dict(problems)
        super().__init__(next(iter(self.problems.values())))


class TooManyExports(ExportError):
    """The organisation has as many exports under way as it may."""

    def __init__(self, most: int) -> None:
        super().__init__(
            Message(
                N_(
                    "%(number)s exports of your organisation are under way, and no more at once."
                    " Wait for one to end, or cancel one."
                ),
                {"number": most},
            )
        )


class ExportNotPossible(ExportError):
    """The export cannot be made as it was wished; ``code`` names why, for programs."""

    def __init__(self, code: str, message: Message) -> None:
        self.code, self.message = code, message
        super().__init__(message)


class NotDownloadable(ExportError):
    """There is no file behind this link any more."""


class ExportStopped(ExportError):
    """Somebody cancelled the export, or another worker has it; nothing of it may be written."""

    def __init__(self) -> None:
        super().__init__("the export was cancelled or is another worker's now")


def format_gone(key: str) -> ExportNotPossible:
    """Return the refusal of a format that there was when the export was wished."""
    words = Message(N_("There is no format '%(key)s' any more."), {"key": key})
    return ExportNotPossible("format_unavailable", words)


def too_many_rows(label: str, rows: int, most: int) -> ExportNotPossible:
    """Return the refusal of a format that takes fewer rows, with what to choose instead."""
    advice = N_(
        "%(label)s takes up to %(most)s rows, and these are %(rows)s."
        " Choose another format, or filter the attendees."
    )
    values: dict[str, Any] = {"label": Message(label), "most": f"{most:,}", "rows": f"{rows:,}"}
    return ExportNotPossible("too_many_rows", Message(advice, values))


def words_for(error: BaseException) -> tuple[str, Message]:
    """Return a code and a sentence for what ended the last try of an export."""
    if isinstance(error, ExportNotPossible):
        return error.code, error.message
    if isinstance(error, StoreFailed):
        return "store_failed", error.reason
    if isinstance(error, OSError) and error.errno in _FULL:
        return "disk_full", Message(N_("The disk on which the file was made is full."))
    return "unexpected", unexpected(error)
