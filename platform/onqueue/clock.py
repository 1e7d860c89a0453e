"""The clock of a running system."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from time import monotonic


class SystemClock:
    """The operating system's time."""

    def now(self) -> datetime:
        """Return the instant as an aware UTC datetime."""
        return datetime.now(UTC)

    def time(self) -> float:
        """Return seconds since the Unix epoch."""
        return time.time()

    # Each job asks some times, so it is no method of Python's.
    monotonic = staticmethod(monotonic)
    """Return seconds of a clock that never goes backwards."""

    def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        time.sleep(seconds)
