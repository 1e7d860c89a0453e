"""Failed jobs in this process's memory: for tests and for programs that end with their jobs."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from onqueue.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from onqueue.contracts import Clock, FailedJob, JobId


@dataclass(slots=True)
class _Entry:
    failed: FailedJob
    token: str = ""


class MemoryFailedJobs:
    """Keeps the newest failure of each job, and all of them in `history`."""

    def __init__(self, clock: Clock | None = None) -> None:
        """Begin empty; the clock tells ages for `flush`."""
        self._clock: Clock = clock or SystemClock()
        self._entries: dict[JobId, _Entry] = {}
        self._history: list[FailedJob] = []
        self._lock = Lock()

    def record(self, failed: FailedJob) -> None:
        """Write the job down; doing it twice for one id and attempt is harmless."""
        with self._lock:
            known = self._entries.get(failed.id)
            if known and not known.token and known.failed.attempts == failed.attempts:
                return
            self._entries[failed.id] = _Entry(failed)
            self._history.append(failed)

    def history(self, job_id: JobId) -> list[FailedJob]:
        """Return every failure of a job, the oldest first."""
        with self._lock:
            return [failed for failed in self._history if failed.id == job_id]

    def all(
        self, *, queue: str | None = None, limit: int = 50, after: str | None = None
    ) -> list[FailedJob]:
        """Return the newest first; `after` is the id of the last one seen (unknown: nothing)."""
        with self._lock:
            found = [entry.failed for entry in self._entries.values()]
            last = self._entries.get(after) if after else None
        if after and last is None:
            return []
        found.sort(key=_place, reverse=True)
        return [
            failed
            for failed in found
            if (queue is None or failed.queue == queue)
            and (last is None or _place(failed) < _place(last.failed))
        ][:limit]

    def find(self, job_id: JobId) -> FailedJob | None:
        """Return one job or None."""
        entry = self._entries.get(job_id)
        return entry.failed if entry else None

    def forget(self, job_id: JobId) -> bool:
        """Delete one with its history; False when it was not there."""
        with self._lock:
            self._history = [failed for failed in self._history if failed.id != job_id]
            return self._entries.pop(job_id, None) is not None

    def flush(self, older_than: float | None = None) -> int:
        """Delete all (or those older than so many seconds); return how many jobs."""
        with self._lock:
            gone = [one for one, entry in self._entries.items() if self._is_old(entry, older_than)]
            for job_id in gone:
                del self._entries[job_id]
            self._history = [failed for failed in self._history if failed.id in self._entries]
        return len(gone)

    def retry(self, job_id: JobId, push: Callable[[FailedJob, str], bool]) -> bool:
        """Push the job once under a token that a second try finds again, then delete it.

        Returns False when there is no such job. What `push` raises goes through; the job stays.
        """
        with self._lock:
            entry = self._entries.get(job_id)
            if entry is None:
                return False
            entry.token = token = entry.token or secrets.token_hex(16)
        push(entry.failed, token)
        with self._lock:
            now = self._entries.get(job_id)
            # It may have failed again meanwhile: that is a new failure, and stays.
            if now is not None and now.token == token:
                del self._entries[job_id]
        return True

    def _is_old(self, entry: _Entry, older_than: float | None) -> bool:
        age = (self._clock.now() - entry.failed.failed_at).total_seconds()
        return older_than is None or age > older_than


def _place(failed: FailedJob) -> tuple[float, str]:
    return failed.failed_at.timestamp(), failed.id
