"""Column types that behave the same on SQLite and PostgreSQL, and the words for making them."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Enum, Integer, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from meet2be.errors import Meet2BeError

CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
UID_LENGTH = 26
_TO_CROCKFORD = CROCKFORD.encode() * 8  # five bits of each byte
CURRENCY_LENGTH = 3


class NaiveDatetimeError(Meet2BeError):
    """A moment without a time zone was about to be stored."""

    def __init__(self, value: datetime) -> None:
        self.value = value
        super().__init__(
            f"{value.isoformat()} has no time zone and cannot be stored. "
            "Use the clock's now(), or give the value its zone."
        )


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: taken only with a time zone, stored and given back in UTC.

    SQLite keeps no zone, so values are turned to UTC before they are stored there.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 -- the signature is SQLAlchemy's
    ) -> datetime | None:
        """Return the value in UTC; raise NaiveDatetimeError for one without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise NaiveDatetimeError(value)
        return value.astimezone(UTC)

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 -- the signature is SQLAlchemy's
    ) -> datetime | None:
        """Return the stored moment as an aware UTC datetime."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# SQLite numbers rows by itself only where the key's type is exactly INTEGER.
BigInt = BigInteger().with_variant(Integer(), "sqlite")
Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
Document = dict[str, Any]


def one_of(name: str, values: tuple[str, ...]) -> Enum:
    """Return a text column type that takes only `values`, checked here and by the database."""
    return Enum(
        *values, name=name, native_enum=False, create_constraint=True, validate_strings=True,
        length=24,
    )  # fmt: skip


def currency_code() -> String:
    """Return the type of an ISO 4217 code, such as EUR."""
    return String(CURRENCY_LENGTH)


def new_uid() -> str:
    """Return a fresh public name of a row: 26 letters and digits, 130 random bits."""
    return secrets.token_bytes(UID_LENGTH).translate(_TO_CROCKFORD).decode()
