"""Runs the relay and the reconciler until they are told to stop."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from sqlalchemy.exc import SQLAlchemyError

from onqueue.errors import OnQueueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onqueue.contracts import Clock

log = logging.getLogger("onqueue.outbox")

SHORTEST_BACKOFF = 0.5
LONGEST_BACKOFF = 30.0


class Stop(Protocol):
    """What `threading.Event` offers: a flag that ends a wait."""

    def is_set(self) -> bool:
        """Return whether to stop."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Block until stopped (True) or until the seconds are over (False)."""
        ...


class Step(Protocol):
    """Something to do again and again."""

    def step(self) -> float:
        """Do it once; return the seconds until it should be done again."""
        ...


class Backoff:
    """Seconds to wait after failures in a row: doubled each time, up to a limit."""

    def __init__(
        self, shortest: float = SHORTEST_BACKOFF, longest: float = LONGEST_BACKOFF
    ) -> None:
        """Begin without a failure."""
        self._shortest, self._longest = shortest, longest
        self._failures = 0

    def failed(self) -> float:
        """Count a failure and return the seconds to wait now."""
        wait = self._shortest * 2.0 ** min(self._failures, 30)
        self._failures += 1
        return min(wait, self._longest)

    def worked(self) -> None:
        """Begin anew."""
        self._failures = 0


def run_forever(steps: Sequence[Step], stop: Stop, clock: Clock) -> None:
    """Do each step when it is due until `stop` is set; return then.

    An error of the database or of the broker is logged and tried again with backoff; all others
    end the loop.
    """
    due = [clock.monotonic()] * len(steps)
    backoffs = [Backoff() for _ in steps]
    while not stop.is_set():
        for place, step in enumerate(steps):
            if due[place] <= clock.monotonic():
                due[place] = clock.monotonic() + _do(step, backoffs[place])
        stop.wait(max(0.0, min(due) - clock.monotonic()))


def _do(step: Step, backoff: Backoff) -> float:
    try:
        seconds = step.step()
    except (SQLAlchemyError, OnQueueError) as error:
        seconds = backoff.failed()
        log.warning("outbox step failed, again in %.1f s: %s", seconds, error)
    else:
        backoff.worked()
    return seconds
