"""Failed jobs in this process's memory: for tests and for programs that end with their jobs."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING

from onqueue.clock import SystemClock
from onqueue.errors import EditConflict, RetryRefused
from onqueue.failed.fingerprint import fingerprint
from onqueue.failed.selecting import fits, grouped, place
from onqueue.stores import ALL_FAILED, Failure, PayloadEdit

if TYPE_CHECKING:
    from collections.abc import Callable

    from onqueue.contracts import Clock, JobId
    from onqueue.stores import FailedFilter, FailedGroup, FailedJob


@dataclass(slots=True)
class _Entry:
    failed: FailedJob
    token: str = ""


class MemoryFailedJobs:
    """Keeps the newest failure of each job, and a log of all of them."""

    def __init__(self, clock: Clock | None = None) -> None:
        """Begin empty; the clock tells ages for `flush`."""
        self._clock: Clock = clock or SystemClock()
        self._entries: dict[JobId, _Entry] = {}
        self._failures: dict[JobId, list[Failure]] = {}
        self._edits: dict[JobId, list[PayloadEdit]] = {}
        self._lock = Lock()

    def record(self, failed: FailedJob) -> None:
        """Write the job down; doing it twice for one id and attempt is harmless."""
        of = fingerprint(failed.job, failed.error_type, failed.error, failed.traceback)
        failed = replace(failed, fingerprint=of)
        with self._lock:
            known = self._entries.get(failed.id)
            if known and not known.token and known.failed.attempts == failed.attempts:
                return
            self._entries[failed.id] = _Entry(failed)
            log = self._failures.setdefault(failed.id, [])
            log.append(_failure(failed, len(log) + 1))

    def all(
        self, wanted: FailedFilter = ALL_FAILED, *, limit: int = 50, after: JobId | None = None
    ) -> list[FailedJob]:
        """Return the newest first; `after` is the id of the last one seen (unknown: nothing)."""
        found = sorted(self._fitting(wanted), key=place, reverse=True)
        if after is None:
            return found[:limit]
        last = self.find(after)
        if last is None:
            return []
        return [failed for failed in found if place(failed) < place(last)][:limit]

    def count(self, wanted: FailedFilter = ALL_FAILED) -> int:
        """Return how many there are."""
        return len(self._fitting(wanted))

    def groups(self, wanted: FailedFilter = ALL_FAILED, *, limit: int = 50) -> list[FailedGroup]:
        """Return them by their error's fingerprint, the largest group first."""
        return grouped(self._fitting(wanted))[:limit]

    def find(self, job_id: JobId) -> FailedJob | None:
        """Return one job or None."""
        with self._lock:
            entry = self._entries.get(job_id)
            return _seen(entry) if entry else None

    def failures(self, job_id: JobId) -> list[Failure]:
        """Return every failure of a job, the oldest first, also those before a retry."""
        with self._lock:
            return list(self._failures.get(job_id, ()))

    def edits(self, job_id: JobId) -> list[PayloadEdit]:
        """Return what operators changed in a job's payload, the oldest first."""
        with self._lock:
            return list(self._edits.get(job_id, ()))

    def forget(self, job_id: JobId) -> bool:
        """Delete one with its log; False when it was not there."""
        with self._lock:
            self._failures.pop(job_id, None)
            self._edits.pop(job_id, None)
            return self._entries.pop(job_id, None) is not None

    def flush(self, older_than: float | None = None) -> int:
        """Delete all (or those older than so many seconds) with their logs; return how many.

        What is being retried just now is left to its retry when an age is given.
        """
        with self._lock:
            gone = [one for one, entry in self._entries.items() if self._is_old(entry, older_than)]
            for job_id in gone:
                del self._entries[job_id]
            for job_id in [one for one in self._failures if one not in self._entries]:
                del self._failures[job_id]
                self._edits.pop(job_id, None)
        return len(gone)

    def retry(
        self,
        job_id: JobId,
        push: Callable[[FailedJob, str], bool],
        edit: PayloadEdit | None = None,
    ) -> bool:
        """Push the job once under a token that a second try finds again, then delete it.

        Returns False when there is no such job. What `push` raises goes through; the job stays.
        Raises `EditConflict` as the contract says.
        """
        with self._lock:
            entry = self._entries.get(job_id)
            if entry is None:
                return False
            if edit is not None:
                self._edit(entry, edit)
            entry.token = token = entry.token or secrets.token_hex(16)
        try:
            push(entry.failed, token)
        except RetryRefused:
            self._refused(job_id, token)
            raise
        with self._lock:
            now = self._entries.get(job_id)
            # It may have failed again meanwhile: that is a new failure, and stays.
            if now is not None and now.token == token:
                del self._entries[job_id]
        return True

    def _edit(self, entry: _Entry, edit: PayloadEdit) -> None:
        failed = entry.failed
        if failed.payload == edit.after:
            return
        if entry.token or failed.payload != edit.before:
            raise EditConflict(failed.id)
        made = replace(edit, edited_at=self._clock.now())
        self._edits.setdefault(failed.id, []).append(made)
        entry.failed = replace(failed, payload=edit.after)

    def _refused(self, job_id: JobId, token: str) -> None:
        with self._lock:
            entry = self._entries.get(job_id)
            if entry is not None and entry.token == token:
                entry.token = ""

    def _fitting(self, wanted: FailedFilter) -> list[FailedJob]:
        with self._lock:
            entries = [_seen(entry) for entry in self._entries.values()]
        return [failed for failed in entries if fits(failed, wanted)]

    def _is_old(self, entry: _Entry, older_than: float | None) -> bool:
        if older_than is None:
            return True
        age = (self._clock.now() - entry.failed.failed_at).total_seconds()
        return age > older_than and not entry.token


def _seen(entry: _Entry) -> FailedJob:
    return replace(entry.failed, is_retrying=True) if entry.token else entry.failed


def _failure(failed: FailedJob, number: int) -> Failure:
    return Failure(
        failure=number,
        attempts=failed.attempts,
        error_type=failed.error_type,
        error=failed.error,
        traceback=failed.traceback,
        fingerprint=failed.fingerprint,
        failed_at=failed.failed_at,
    )
