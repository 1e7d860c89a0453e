"""What all objects have in common."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from meet2be.language import N_, Message

UID_PATTERN = "^[0-9a-hjkmnp-tv-z]{26}$"
UID_SCHEMA = {"type": "string", "format": "uid", "minLength": 26, "maxLength": 26}
"""A public name: 26 characters of Crockford's base32, in lower case."""
_UID = re.compile(UID_PATTERN)


class UidRefused(ValueError):
    """A text that cannot be the public name of anything."""

    def __init__(self, text: str) -> None:
        """Say what a name looks like."""
        self.message = Message(
            N_("“%(text)s” is no name of a thing: these have 26 characters of 0-9 and a-z, without"
               " i, l, o and u."), {"text": text[:40]},
        )  # fmt: skip
        super().__init__(str(self.message))


def _uid(text: str) -> str:
    if not _UID.fullmatch(text):
        raise UidRefused(text)
    return text


Uid = Annotated[str, AfterValidator(_uid), WithJsonSchema(UID_SCHEMA)]
Moment = Annotated[datetime, Field(examples=["2026-11-22T09:00:00Z"])]


class Told(BaseModel):
    """What a program gets; made from a row by its attributes."""

    model_config = ConfigDict(from_attributes=True, extra="forbid")
