"""What all requests and answers have in common."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
)

from meet2be.language import N_, Message
from meet2be.objects.base import Told
from meet2be.plain_text import unfit
from meet2be.web.api.wording import Unfit

T = TypeVar("T")
_YEARS = (1000, 9998)


def _showable(text: str) -> str:
    sign = unfit(text)
    if sign is not None:
        raise Unfit(
            Message(
                N_("This holds the character %(sign)s, which shows nothing, or lets others show"
                   " falsely. Take it out."), {"sign": sign},
            )
        )  # fmt: skip
    return text


def _in_utc(moment: datetime) -> datetime:
    # A margin on both ends, so that it is a moment on the clocks of every time zone.
    if not _YEARS[0] <= moment.year <= _YEARS[1]:
        years = {"first": _YEARS[0], "last": _YEARS[1]}
        raise Unfit(Message(N_("This must lie in the years %(first)s to %(last)s."), years))
    return moment.astimezone(UTC)


# PostgreSQL keeps no U+0000, and what nobody sees deceives people; see `plain_text`.
Text = Annotated[str, AfterValidator(_showable)]
Since = Annotated[AwareDatetime, AfterValidator(_in_utc)]
MinorSums = Annotated[
    dict[str, int], Field(description="Minor units (cents) by currency.", examples=[{"EUR": 11900}])
]


class Given(BaseModel):
    """What a caller sends: nothing that is not known, nothing turned into another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Asked(BaseModel):
    """What stands in an address after the question mark."""

    model_config = ConfigDict(extra="forbid")


class Nothing(Given):
    """An empty object: the request says all by its address."""


class ListQuery(Asked):
    """Which page of a list."""

    cursor: Annotated[str, Field(max_length=1000)] | None = Field(
        None, description="`next_cursor` of the page before; the filters must be the same."
    )
    limit: int = Field(50, ge=1, le=200, description="The most entries of a page.")


class Page(BaseModel, Generic[T]):
    """A page of a list; `next_cursor` is null on the last one."""

    model_config = ConfigDict(extra="forbid")

    data: list[T]
    next_cursor: str | None


class Reason(Given):
    """Why something is done, for the log."""

    reason: Annotated[Text, Field(max_length=2000)] = ""


class Done(Told):
    """What was asked for is done, or under way."""

    status: Literal["done", "accepted"] = "done"


Json = dict[str, Any]
