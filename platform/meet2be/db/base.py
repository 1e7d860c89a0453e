"""The declarative base: names of constraints, keys, times and the tenant of a row."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol, cast

from sqlalchemy import ForeignKey, ForeignKeyConstraint, MetaData, String, Table, UniqueConstraint
from sqlalchemy.engine.interfaces import ExecutionContext
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from meet2be.db.columns import UID_LENGTH, BigInt, Json, UtcDateTime, new_uid
from meet2be.errors import Meet2BeError
from onqueue.contracts import Clock

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
CLOCK_OPTION = "meet2be_clock"


TENANT_MARK = "tenant_owned"


class Base(DeclarativeBase):
    """What every table of the platform is made from."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 -- SQLAlchemy declares it so
        datetime: UtcDateTime(),
        int: BigInt,
        dict[str, Any]: Json,
        list[Any]: Json,
    }

    def __init_subclass__(cls, **options: Any) -> None:
        """Mark the table of a tenant's rows, so that the guard knows it without its class."""
        super().__init_subclass__(**options)
        if issubclass(cls, TENANT_MIXINS) and isinstance(cls.__table__, Table):
            cls.__table__.info[TENANT_MARK] = True


class ClocklessEngineError(Meet2BeError):
    """A row was to be stamped on an engine that knows no clock."""

    def __init__(self) -> None:
        super().__init__(
            "this engine carries no clock to stamp rows with. "
            "Make it with meet2be.db.make_engine or meet2be.db.Database."
        )


class _WithOptions(Protocol):
    execution_options: Mapping[str, Any]


def _now(context: ExecutionContext) -> datetime:
    """Return the time of the engine's own clock, so that tests decide what rows say."""
    clock = cast("_WithOptions", context).execution_options.get(CLOCK_OPTION)
    if clock is None:
        raise ClocklessEngineError
    return cast("Clock", clock).now()


class Numbered:
    """A row with an internal number; never shown in an address."""

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True, sort_order=-20)


class Stamped:
    """A row that knows when it was made and last changed, in UTC."""

    created_at: Mapped[datetime] = mapped_column(default=_now, sort_order=900)
    updated_at: Mapped[datetime] = mapped_column(default=_now, onupdate=_now, sort_order=901)


class Named:
    """A row with a public name that cannot be guessed; what addresses show."""

    uid: Mapped[str] = mapped_column(
        String(UID_LENGTH), default=new_uid, unique=True, sort_order=-10
    )


class TenantOwned:
    """A row of one tenant; only sessions of that tenant, or explicit system sessions, see it."""

    tenant_id: Mapped[int] = mapped_column(ForeignKey("tenants.id"), sort_order=-15)


class MaybeTenantOwned:
    """A row of one tenant, or of the platform itself when `tenant_id` is empty.

    A tenant's session sees its own rows only.
    """

    tenant_id: Mapped[int | None] = mapped_column(ForeignKey("tenants.id"), sort_order=-15)


class TenantOwnedOrShared:
    """A row of one tenant, or, when `tenant_id` is empty, one that every tenant may read.

    A tenant's session writes its own rows only.
    """

    tenant_id: Mapped[int | None] = mapped_column(ForeignKey("tenants.id"), sort_order=-15)


TENANT_MIXINS = (TenantOwned, MaybeTenantOwned, TenantOwnedOrShared)


def belongs_to(parent: str, column: str) -> ForeignKeyConstraint:
    """Return a key to `parent` that holds within one tenant: a foreign parent is impossible."""
    return ForeignKeyConstraint(["tenant_id", column], [f"{parent}.tenant_id", f"{parent}.id"])


def parent_key() -> UniqueConstraint:
    """Return the key that children's `belongs_to` points at."""
    return UniqueConstraint("tenant_id", "id")
