"""Waiting for a condition instead of sleeping and hoping."""

from collections.abc import Callable
from typing import TypeVar

from onqueue.clock import SystemClock
from onqueue.contracts import Clock

Found = TypeVar("Found")

PATIENCE = 60.0
"""For how many seconds a test waits: far longer than any machine needs for what does come."""


def eventually(
    assertion: Callable[[], Found],
    within: float = PATIENCE,
    *,
    every: float = 0.02,
    clock: Clock | None = None,
) -> Found:
    """Return what `assertion` returns once it neither raises AssertionError nor returns False.

    Tried every `every` seconds for `within` seconds and at least once; then its own error is
    raised. Any other exception is a fault and goes straight through.
    """
    clock = clock or SystemClock()
    deadline = clock.monotonic() + within
    while True:
        try:
            found = assertion()
        except AssertionError:
            if clock.monotonic() >= deadline:
                raise
        else:
            if found is not False:
                return found
            if clock.monotonic() >= deadline:
                name = getattr(assertion, "__name__", repr(assertion))
                raise AssertionError(f"'{name}' was still false after {within:g} s")
        clock.sleep(every)
