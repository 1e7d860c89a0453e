"""Functions that the tests dispatch: they live in a module, so that a worker can import them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from onqueue import injected

CALLS: list[Any] = []
"""What was called, in order, by the jobs of this process."""


class Colour(Enum):
    RED = "red"


@dataclass
class Size:
    width: int
    height: int = 1


class Shop:
    name = "shop"


class Gone:
    """A record that never exists any more."""

    def to_reference(self) -> int:
        return 1

    @classmethod
    def from_reference(cls, key: int) -> None:
        return None


def note(*values: Any) -> None:
    CALLS.append(values)


def paint(colour: Colour, size: Size, times: int = 1) -> None:
    CALLS.append((colour, size, times))


def sell(what: str, shop: Shop = injected, count: int = 1) -> None:
    CALLS.append((what, shop.name, count))


def read(record: Gone) -> None:
    CALLS.append(record)


def break_down(why: str) -> None:
    raise ValueError(why)


async def think(about: str) -> None:
    CALLS.append(("thought", about))


def hear(error: BaseException, shop: Shop = injected) -> None:
    CALLS.append(("heard", type(error).__name__, str(error), shop.name))


def wake_up() -> None:
    CALLS.append("woken")


def generate() -> Any:
    yield 1


class Machine:
    def start(self) -> None:
        CALLS.append("started")

    @staticmethod
    def stop() -> None:
        CALLS.append("stopped")
