"""The simulators' clock: the wall clock plus an offset that tests move by hand."""

from __future__ import annotations

import time


class SimulatedClock:
    """Tells the simulated time in seconds since the epoch; it runs at the wall clock's pace."""

    def __init__(self, offset: float = 0.0) -> None:
        """Start `offset` seconds ahead of the wall clock."""
        self._offset = offset

    @property
    def offset(self) -> float:
        """Return by how many seconds this clock is ahead of the wall clock."""
        return self._offset

    def now(self) -> float:
        """Return the simulated time, in seconds since the epoch."""
        return time.time() + self._offset

    def wall(self) -> float:
        """Return the real time; what leaves the simulator signed is checked against real time."""
        return time.time()

    def advance(self, seconds: float) -> None:
        """Move the clock forward; going back would let settled things become unsettled."""
        if seconds < 0:
            message = f"The clock only goes forward; asked to advance by {seconds} seconds."
            raise ValueError(message)
        self._offset += seconds


def pause(seconds: float) -> None:
    """Let real time pass, between two looks at whether a child process is up."""
    time.sleep(seconds)
