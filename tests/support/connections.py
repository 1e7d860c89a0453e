"""Connections to PostgreSQL that a test leaves open are found at that test.

Left alone they are found by the garbage collector, in the middle of whatever test runs by then.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.waiting import eventually

_ROOT = str(Path(__file__).parents[2])
_FOREIGN = f"{_ROOT}/.venv"

LASTING: list[psycopg.Connection[Any]] = []
"""The connections that are a run's, not a test's, although a test was the first to want them."""


@contextmanager
def none_left_open(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail afterwards, with who made it, when a connection made meanwhile is still open."""
    made: list[tuple[psycopg.Connection[Any], str]] = []
    begin: Callable[..., None] = psycopg.Connection.__init__

    def noted(self: psycopg.Connection[Any], *arguments: Any, **options: Any) -> None:
        begin(self, *arguments, **options)
        made.append((self, _maker()))

    with patch.context() as within:
        within.setattr(psycopg.Connection, "__init__", noted)
        yield

    def all_closed() -> None:
        left = [maker for connection, maker in made if not _may_be_open(connection)]
        assert not left, f"{len(left)} connection(s) are left open, made at: {', '.join(left)}"

    try:
        eventually(all_closed)  # threads may be closing theirs
    finally:
        for connection, _ in made:
            if not _may_be_open(connection):
                connection.close()


def _may_be_open(connection: psycopg.Connection[Any]) -> bool:
    return connection.closed or connection in LASTING


def _maker() -> str:
    """Return the innermost line of our own code that is being run."""
    frame = sys._getframe(2)
    while frame.f_back is not None:
        name = frame.f_code.co_filename
        if name.startswith(_ROOT) and not name.startswith(_FOREIGN):
            break
        frame = frame.f_back
    return f"{frame.f_code.co_filename.removeprefix(_ROOT + '/')}:{frame.f_lineno}"
