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

    # Called several times a job: Python's own function costs no frame of ours.
    monotonic = staticmethod(monotonic)

    def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        time.sleep(seconds)
