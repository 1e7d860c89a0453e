"""A clock that tests move by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """Stands still until it is told to advance; `sleep` advances and returns at once."""

    def __init__(self, start: datetime = START) -> None:
        """Begin at an aware instant."""
        self._start = start
        self._elapsed = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        """Return the start plus what was advanced, in UTC."""
        return self._start.astimezone(UTC) + timedelta(seconds=self._elapsed)

    def time(self) -> float:
        """Return seconds since the Unix epoch."""
        return self._start.timestamp() + self._elapsed

    def monotonic(self) -> float:
        """Return seconds advanced since the start."""
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        """Note the seconds in `slept` and advance by them."""
        self.slept.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move forward; a negative figure is refused as monotonic time cannot turn back."""
        if seconds < 0:
            msg = f"A clock cannot advance by {seconds:g} s"
            raise ValueError(msg)
        self._elapsed += seconds
