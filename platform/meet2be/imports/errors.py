"""Why an import, or a step of it, is refused; nothing has been changed then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meet2be.errors import Meet2BeError
from meet2be.language import Message, unexpected


class ImportsError(Meet2BeError):
    """Root of what imports raise; says what happened and what to do in the reader's language."""

    def __init__(self, why: Message) -> None:
        self.why = why
        super().__init__(why)


class UnreadableUpload(ImportsError):
    """The file cannot be read as a list."""


class WrongState(ImportsError):
    """The import has moved on, or not yet far enough, for what was asked."""

    def __init__(self, state: str) -> None:
        self.state = state
        super().__init__(
            Message(
                "This import is '%(state)s' by now, so this cannot be done any more. Reload the"
                " page.",
                {"state": state},
            )
        )


class BadMapping(ImportsError):
    """The mapping lacks something or is contradictory; ``fields`` says what at which field."""

    def __init__(self, fields: Mapping[str, Message]) -> None:
        self.fields = dict(fields)
        super().__init__(Message("Some fields have no column yet. Choose one, or a fixed value."))


class ImportStopped(ImportsError):
    """A step met something that ends the whole import: the reason is kept with it."""


def packed(message: Message) -> dict[str, Any]:
    """Return a message as JSON, to be put into words when it is read."""
    values = {
        name: packed(value) if isinstance(value, Message) else _plain(value)
        for name, value in message.values.items()
    }
    kept: dict[str, Any] = {"sentence": message.sentence, "values": values}
    if message.plural is not None:
        kept |= {"plural": message.plural, "number": message.number}
    return kept


def unpacked(document: Mapping[str, Any]) -> Message:
    """Return the message that `packed` made JSON of."""
    values = {
        name: unpacked(value) if isinstance(value, Mapping) else value
        for name, value in document["values"].items()
    }
    sentence = str(document["sentence"])
    return Message(sentence, values, document.get("plural"), document.get("number"))


def message_of(error: BaseException) -> Message:
    """Return what an error says as a message, its text where it has none."""
    if error.args and isinstance(error.args[0], Message):
        return error.args[0]
    return Message("%(problem)s", {"problem": str(error) or type(error).__name__})


def words_for(error: BaseException) -> Message:
    """Return what a person is told of an error that ended a job: never a database's own text."""
    why = error.args[0] if isinstance(error, Meet2BeError) and error.args else None
    return why if isinstance(why, Message) else unexpected(error)


def _plain(value: object) -> object:
    return value if isinstance(value, str | int) else str(value)
