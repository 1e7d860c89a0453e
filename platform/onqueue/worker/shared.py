"""The memory that a parent and its child share: what runs since when, and what the parent wants.

Every word has eight bytes and one writer, so that it is read whole. There is a slot for each
thread that runs jobs. A running job is published by writing its number last and taken back by
clearing it first; whoever reads it twice the same in between has read a consistent job. No system
call is needed for any of it.
"""

from __future__ import annotations

import mmap
import multiprocessing
import signal
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.synchronize import Lock

    from onqueue.contracts import JobId

ID_BYTES: Final = 32
_WORDS: Final = 32
_PART: Final = _WORDS * 8
"""Bytes of the part that all share, and of each slot."""


class Phase(IntEnum):
    """What a runner is at."""

    STARTING = 0
    WAITING = 1
    WORKING = 2


class Cut(IntEnum):
    """Why the parent cuts a running job short."""

    NONE = 0
    TIMEOUT = 1
    INTERRUPT = 2
    CANCEL = 3


_CUTS: Final = tuple(Cut)


class Exit(IntEnum):
    """How a child ended; `NONE` means that it was killed or killed itself."""

    NONE = 0
    STOPPED = 1
    RECYCLED = 2
    LEASE_LOST = 3
    FAULT = 4


# Words of the common part that the child writes, and those of the parent.
_COUNT, _POSITION, _FINISHED, _EXIT, _REASON = range(5)
_VOUCHED, _STOP, _PAUSE, _RECALLED, _LOOK = range(16, 21)
# Words of a slot that the child writes, and those of the parent.
_RUNNING, _STARTED, _TIMEOUT, _ATTEMPTS, _EXCEPTIONS, _PHASE, _PROGRESS, _PATIENCE = range(8)
_ID: Final = slice(8 * 8, 8 * 8 + ID_BYTES)
_MEMORY_LIMIT: Final = 12
_CUT_JOB, _CUT_WHY, _CANCELLED = range(16, 19)


@dataclass(slots=True, frozen=True)
class Running:
    """A job that runs; `started` is monotonic, `timeout` seconds (0: without)."""

    number: int
    job_id: JobId
    started: float
    timeout: float
    attempts: int
    exceptions: int


class Slot:
    """What one runner and the parent tell each other."""

    def __init__(self, memory: memoryview) -> None:
        """Live in this part of the shared memory."""
        self._words = memory.cast("Q")
        self._floats = memory.cast("d")
        self._id = memory[_ID]

    # ---- the child writes ----

    def begin(
        self,
        number: int,
        job_id: JobId,
        started: float,
        timeout: float,
        attempts: int,
        exceptions: int,
    ) -> None:
        """Publish that this job runs from now on; numbers begin at 1, none comes twice."""
        floats, words = self._floats, self._words
        self._id[:] = job_id.encode()
        floats[_STARTED] = started
        floats[_TIMEOUT] = timeout
        words[_ATTEMPTS] = attempts
        words[_EXCEPTIONS] = exceptions
        words[_RUNNING] = number

    def bound(self, patience: float | None, memory_limit: float) -> None:
        """Publish the bounds of the job that begins next, and of all after it until told again.

        `patience` is seconds it may go on after a stop (None: to its end), `memory_limit` MiB.
        """
        self._floats[_PATIENCE] = 0.0 if patience is None else patience + 1.0
        self._floats[_MEMORY_LIMIT] = memory_limit

    def end(self) -> None:
        """Publish that nothing runs."""
        self._words[_RUNNING] = 0

    def enter(self, phase: Phase) -> None:
        """Publish what the runner is at."""
        self._words[_PHASE] = phase
        self._words[_PROGRESS] += 1

    # ---- the parent writes ----

    def cut(self, number: int, why: Cut) -> None:
        """Have this job interrupted; needs the signal that makes the child look."""
        self._words[_CUT_WHY] = why
        self._words[_CUT_JOB] = number

    def ask_to_end(self, number: int) -> None:
        """Let this job know that it was cancelled."""
        self._words[_CANCELLED] = number

    # ---- either reads ----

    @property
    def cancelled(self) -> int:
        """The number of the job that was last cancelled here, 0 for none."""
        return self._words[_CANCELLED]

    def running(self) -> Running | None:
        """Return the job that runs, None when nothing runs or it just changes."""
        words, floats = self._words, self._floats
        number = words[_RUNNING]
        if not number:
            return None
        found = Running(
            number,
            bytes(self._id).decode(errors="replace"),
            floats[_STARTED],
            floats[_TIMEOUT],
            words[_ATTEMPTS],
            words[_EXCEPTIONS],
        )
        return found if words[_RUNNING] == number else None

    @property
    def number(self) -> int:
        """The number of the job that runs, 0 for none."""
        return self._words[_RUNNING]

    @property
    def patience(self) -> float | None:
        """How many seconds the job may go on after a stop; None: to its end."""
        stored = self._floats[_PATIENCE]
        return stored - 1.0 if stored else None

    @property
    def memory_limit(self) -> float:
        """The MiB the process may have while the job runs, 0 for no limit."""
        return self._floats[_MEMORY_LIMIT]

    @property
    def phase(self) -> int:
        """What the runner is at, out of `Phase`."""
        return self._words[_PHASE]

    @property
    def progress(self) -> int:
        """Something that changes whenever the runner begins or ends a wait."""
        return self._words[_PROGRESS]

    @property
    def wanted_cut(self) -> tuple[int, Cut]:
        """Which job is to be cut short, and why."""
        return self._words[_CUT_JOB], _CUTS[self._words[_CUT_WHY]]


class Shared:
    """One anonymous memory and one lock for one child; made before the fork."""

    def __init__(self, prefetch: int, runners: int = 1) -> None:
        """Have room for so many reserved jobs, and for so many that run at once."""
        self.prefetch = prefetch
        self.lock: Lock = multiprocessing.get_context("fork").Lock()
        self._table = _PART * (1 + runners)
        self._memory = mmap.mmap(-1, self._table + prefetch * ID_BYTES)
        view = memoryview(self._memory)
        self._words = view[:_PART].cast("Q")
        self._floats = view[:_PART].cast("d")
        self.slots = tuple(
            Slot(view[_PART * at : _PART * (at + 1)]) for at in range(1, runners + 1)
        )
        self.look_next(float("inf"))

    # ---- the child writes ----

    def hold(self, ids: Sequence[JobId]) -> None:
        """Publish the reserved jobs, none of them started yet."""
        words = self._words
        words[_COUNT] = words[_POSITION] = 0
        packed = "".join(ids).encode()
        self._memory[self._table : self._table + len(packed)] = packed
        words[_RECALLED] = 0
        words[_COUNT] = len(ids)

    def claim(self, position: int) -> bool:
        """Take the held job at this position (from 0); False when the parent gave it back."""
        with self.lock:
            words = self._words
            if words[_RECALLED]:
                return False
            words[_POSITION] = position + 1
            return True

    def count(self) -> None:
        """Count a job that came to an end of whatever kind."""
        self._words[_FINISHED] += 1

    def leave(self, how: Exit) -> None:
        """Publish how the child ends."""
        self._words[_EXIT] = how

    def leave_for(self, reason: int) -> None:
        """Publish which reason to stop the child saw, by its position."""
        self._words[_REASON] = reason

    # ---- the parent writes ----

    def vouch(self, until: float) -> None:
        """Let the child trust its lease until this monotonic instant."""
        self._floats[_VOUCHED] = until

    def look_next(self, at: float) -> None:
        """Let the child know at which monotonic instant its parent looks without being woken.

        It is infinite from before the parent looks at the slots until it has told the next one, so
        that what begins meanwhile wakes it.
        """
        self._floats[_LOOK] = at

    def ask_to_stop(self, why: int = signal.SIGTERM) -> None:
        """Have the child leave after the running jobs; `why` is the number of a signal."""
        self._words[_STOP] = why

    def ask_to_pause(self, *, paused: bool) -> None:
        """Have the child take no job (or take jobs again)."""
        self._words[_PAUSE] = paused

    def recall(self) -> list[JobId]:
        """Forbid the child to start what it holds unstarted and return it; hold the lock."""
        words = self._words
        first, count = words[_POSITION], words[_COUNT]
        if words[_RECALLED] or first >= count:
            return []
        words[_RECALLED] = 1
        start = self._table + first * ID_BYTES
        return [
            self._memory[at : at + ID_BYTES].decode()
            for at in range(start, start + (count - first) * ID_BYTES, ID_BYTES)
        ]

    # ---- either reads ----

    def running(self) -> list[Running]:
        """Return the jobs that run, at most one of each slot."""
        return [found for slot in self.slots if (found := slot.running()) is not None]

    @property
    def unstarted(self) -> bool:
        """Whether the child holds jobs it has not started and may start."""
        words = self._words
        return words[_POSITION] < words[_COUNT] and not words[_RECALLED]

    def left(self) -> int:
        """Return how many jobs the child holds that it may still start."""
        words = self._words
        return 0 if words[_RECALLED] else max(0, words[_COUNT] - words[_POSITION])

    @property
    def recalled(self) -> bool:
        """Whether the parent gave back what was held unstarted."""
        return bool(self._words[_RECALLED])

    @property
    def finished(self) -> int:
        """How many jobs came to an end of whatever kind."""
        return self._words[_FINISHED]

    @property
    def exit(self) -> Exit:
        """How the child ended."""
        return Exit(self._words[_EXIT])

    @property
    def reason(self) -> int:
        """The position of the reason to stop that the child saw."""
        return self._words[_REASON]

    @property
    def vouched_until(self) -> float:
        """Until which monotonic instant the lease can be trusted."""
        return self._floats[_VOUCHED]

    @property
    def next_look(self) -> float:
        """At which monotonic instant the parent looks without being woken."""
        return self._floats[_LOOK]

    @property
    def should_stop(self) -> bool:
        """Whether the child is to leave after the running jobs."""
        return bool(self._words[_STOP])

    @property
    def stop_signal(self) -> int:
        """The number of the signal for which the child is to leave, 0 when it is to stay."""
        return self._words[_STOP]

    @property
    def should_pause(self) -> bool:
        """Whether the child is to take no job."""
        return bool(self._words[_PAUSE])
