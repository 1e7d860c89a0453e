"""At which rate failed jobs go back: so many a second, never two of them closer than that."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onqueue.contracts import Clock

_RATE = re.compile(r"(?P<count>\d+(?:\.\d+)?)\s*(?:/\s*(?P<unit>s|min|m|h))?", re.IGNORECASE)
_SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in so many seconds."""

    count: float
    seconds: float

    @property
    def interval(self) -> float:
        """Seconds from one to the next."""
        return self.seconds / self.count

    @classmethod
    def parse(cls, text: str) -> Rate:
        """Read '10/s', '600/m', '1000/h' or '10' (a second); raises `ValueError` saying so."""
        found = _RATE.fullmatch(text.strip())
        if found is None or float(found["count"]) == 0:
            raise ValueError(f"{text!r} is no rate: write it like 10/s, 300/m or 1000/h")
        return cls(float(found["count"]), _SECONDS[(found["unit"] or "s").lower()])


class Pace:
    """Makes whoever calls `wait` come no more often than the rate says (None: as often as it can).

    What was late is not made up for: after a pause nothing comes in a burst.
    """

    def __init__(self, rate: Rate | None, clock: Clock) -> None:
        """Let the first pass at once."""
        self._rate = rate
        self._clock = clock
        self._due = clock.monotonic()

    def wait(self) -> None:
        """Return when the next one may go."""
        if self._rate is None:
            return
        left = self._due - self._clock.monotonic()
        if left > 0:
            self._clock.sleep(left)
        self._due = max(self._due, self._clock.monotonic()) + self._rate.interval
