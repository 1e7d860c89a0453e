"""What is done step by step by several threads, while the one that wants it done waits once.

A thread that is woken for each step gives the interpreter up and waits for it again each time, and
with 64 of them that costs more than most steps. So the thread that ends one step begins the next.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeAlias, TypeVar

from meet2be.integrations.switchboard import Then

T = TypeVar("T")
Way: TypeAlias = Generator[Callable[[Then[Any]], object], Any, T]
"""Yields what begins a step and returns at once; it is sent, or is raised, what came of it."""


def come_to_the_end(way: Way[T]) -> T:
    """Go a way and return what it returns; raises what it raises.

    What it does between its steps is done by the threads that end those.
    """
    return _Walk(way).end()


class _Walk(Generic[T]):
    __slots__ = ("_error", "_found", "_is_over", "_way")

    def __init__(self, way: Way[T]) -> None:
        self._way = way
        self._found: T | None = None
        self._error: BaseException | None = None
        self._is_over = threading.Lock()  # the leanest thing that one thread opens for another
        self._is_over.acquire()

    def end(self) -> T:
        self._go()
        self._is_over.acquire()
        if self._error is not None:
            raise self._error
        return self._found  # type: ignore[return-value]

    def _go(self, found: object = None, error: Exception | None = None) -> None:
        try:
            begin = self._way.send(found) if error is None else self._way.throw(error)
            begin(self._go)
        except StopIteration as end:
            self._found = end.value
            self._is_over.release()
        except BaseException as failed:  # noqa: BLE001 -- raised in the thread that waits
            self._error = failed
            self._is_over.release()
