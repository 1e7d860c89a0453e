"""What several threads of a child have in common: the jobs that nobody has begun, and the counts.

Every job passes here twice, so all of it is short and waits for nobody but the other threads; a
trip to the broker is never made under this lock.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onqueue.contracts import JobId, ReservedJob
    from onqueue.worker.shared import Shared


class Stock:
    """Jobs that were reserved and not begun, in their order; any thread may take the next."""

    def __init__(self, shared: Shared) -> None:
        """Hold nothing yet; what is held is published in the memory shared with the parent."""
        self._shared = shared
        self._lock = threading.Lock()
        self._held: deque[ReservedJob] = deque()
        self._position = 0
        self.begun = 0
        """How many jobs were taken so far."""
        self.busy = 0
        """How many were taken and have not ended."""
        self._ended = 0
        self._seconds = 0.0

    def __len__(self) -> int:
        """Return how many are held."""
        return len(self._held)

    def take(self) -> ReservedJob | None:
        """Take the next job; None when none is held, or the parent gave back what was."""
        with self._lock:
            if not self._held:
                return None
            if not self._shared.claim(self._position):
                self._held.clear()
                return None
            self._position += 1
            self.begun += 1
            self.busy += 1
            return self._held.popleft()

    def end(self, took: float) -> None:
        """Count a job that was taken and came to an end of whatever kind after so many seconds."""
        with self._lock:
            self.busy -= 1
            self._ended += 1
            self._seconds += took
            self._shared.count()

    def lately(self) -> tuple[int, float]:
        """Return how many jobs ended since this was last asked, and the seconds they took in all.

        One of many threads now and then waits long for its turn, which tells nothing of its job.
        """
        with self._lock:
            found = (self._ended, self._seconds)
            self._ended, self._seconds = 0, 0.0
        return found

    def add(self, jobs: Sequence[ReservedJob]) -> None:
        """Hold these, too, behind what is held unless the parent gave that back."""
        with self._lock, self._shared.lock:
            if self._shared.recalled:
                self._held.clear()
            self._held.extend(jobs)
            self._shared.hold([reserved.id for reserved in self._held])
            self._position = 0

    def clear(self) -> list[JobId]:
        """Hold nothing any more; return what was held, also what the parent gave back meanwhile."""
        with self._lock:
            held, self._held = self._held, deque()
        return [reserved.id for reserved in held]
