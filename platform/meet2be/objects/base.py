"""What all objects have in common."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

UID_PATTERN = "^[0-9a-hjkmnp-tv-z]{26}$"
UID_SCHEMA = {"type": "string", "format": "uid", "minLength": 26, "maxLength": 26}
"""A public name: 26 characters of Crockford's base32, in lower case."""
_UID = re.compile(UID_PATTERN)


def _uid(text: str) -> str:
    if not _UID.fullmatch(text):
        raise ValueError("is no name of a thing: 26 characters of 0-9 and a-z without i, l, o, u")
    return text


Uid = Annotated[str, AfterValidator(_uid), WithJsonSchema(UID_SCHEMA)]
Moment = Annotated[datetime, Field(examples=["2026-11-22T09:00:00Z"])]


class Told(BaseModel):
    """What a program gets; made from a row by its attributes."""

    model_config = ConfigDict(from_attributes=True, extra="forbid")
