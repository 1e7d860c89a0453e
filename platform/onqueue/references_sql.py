"""SQLAlchemy models as arguments of jobs: the class and the primary key travel, not the row.

A job gets the row as it is when the job runs, from the session that the application provides. That
session is also what confines it: a tenant's session finds no other tenant's rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import inspect
from sqlalchemy.orm import DeclarativeBase, Session

from onqueue.references import register_reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import InstanceState

Base = TypeVar("Base", bound=DeclarativeBase)


def register_models(base: type[Base], session_provider: Callable[[], Session]) -> None:
    """Let instances of a declarative base's models travel in payloads.

    `session_provider` returns the session of the job that is being restored; a model that its
    session does not find is a `MissingModel`.
    """

    def fetch(model: type[Base], key: Any) -> Base | None:
        identity = tuple(key) if isinstance(key, list) else key
        return session_provider().get(model, identity)

    register_reference(base, primary_key, fetch)


def primary_key(model: object) -> Any:
    """Return the model's primary key, a list where it has several columns.

    Raises `ValueError` when the model has none yet: it must be flushed first.
    """
    state: InstanceState[Any] = inspect(model)
    identity = state.identity
    if identity is None:
        raise ValueError(f"this {type(model).__name__} has no primary key yet: add and flush it")
    return identity[0] if len(identity) == 1 else list(identity)
