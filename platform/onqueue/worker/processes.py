"""Facts about processes that Linux tells: who dies with whom, and how much memory one has."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Final, NoReturn

_SET_PARENT_DEATH_SIGNAL: Final = 1
_MEBIBYTE: Final = 1024 * 1024
_PAGE = os.sysconf("SC_PAGE_SIZE")


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; exits when it already has."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def keep_to(core: int) -> None:
    """Keep this thread, and those it will start, to one core of the processor.

    An interpreter computes in one thread at a time. To hand it to a thread on another core costs
    the kernel a message and the new core all that the old one had at hand.
    """
    os.sched_setaffinity(0, {core})


class ResidentMemory:
    """Tells this process's memory; the file is kept open, as an idle worker asks at each wake-up.

    Opening it anew took a tenth of the time from a dispatch to the run of the job.
    """

    def __init__(self) -> None:
        """Open nothing yet."""
        self._pid = self._descriptor = -1

    def __call__(self) -> float:
        """Return the memory that is not swapped out, in MiB."""
        if self._pid != os.getpid():  # what a parent opened tells of the parent
            self._descriptor = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
            self._pid = os.getpid()
        pages = int(os.pread(self._descriptor, 128, 0).split()[1])
        return pages * _PAGE / _MEBIBYTE


resident_memory: Final = ResidentMemory()


class Forks:
    """Counts the forks that lead to this process; asking the kernel who one is takes a microsecond.

    Every job asks. Only a fork that Python knows nothing of would not be counted.
    """

    __slots__ = ("count",)

    def __init__(self) -> None:
        """Begin at this process."""
        self.count = 0
        os.register_at_fork(after_in_child=self._add)

    def _add(self) -> None:
        self.count += 1


forks: Final = Forks()


_BEGINNINGS: Final = frozenset(
    ("subprocess.Popen", "os.posix_spawn", "os.fork", "os.forkpty", "os.system", "os.exec")
)
"""The audit events before a process of somebody's begins."""


class Patience:
    """Has threads, when they wake up, wait for their processor rather than push another off.

    Threads of an interpreter wake each other a moment before they let go of it, so that whoever
    was woken would only go back to sleep: with many threads that takes a tenth of their time.
    The kernel hands this on to all that a thread starts, so a thread that is about to start a
    process is as others again, from then on. A policy that somebody else chose is left alone.
    """

    def __init__(self) -> None:
        """Know of no thread."""
        self._guard = threading.Lock()
        self._is_listening = False

    def __call__(self) -> None:
        """Begin with the calling thread."""
        try:
            if os.sched_getscheduler(0) != os.SCHED_OTHER:
                return
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        except (OSError, AttributeError):  # a sandbox may forbid it, another system not have it
            return
        with self._guard:
            if not self._is_listening:
                self._is_listening = True
                sys.addaudithook(self._hear)

    def _hear(self, event: str, _arguments: tuple[object, ...]) -> None:
        # Threads that a job has started are patient, too.
        if event in _BEGINNINGS and os.sched_getscheduler(0) == os.SCHED_BATCH:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


be_patient: Final = Patience()


def memory_of(pid: int) -> float:
    """Return another process's memory that is not swapped out, in MiB; 0 when it is gone."""
    try:
        text = Path(f"/proc/{pid}/statm").read_text(encoding="ascii")
    except OSError:
        return 0.0
    return int(text.split()[1]) * _PAGE / _MEBIBYTE


def end_copy() -> NoReturn:
    """End this process, a copy that a job forked and let go on, at once.

    It exits as the job meant it to: with the status of a `SystemExit`, 1 after another exception.
    """
    error = sys.exception()
    status = error.code if isinstance(error, SystemExit) else error
    os._exit(status if isinstance(status, int) else int(status is not None))


def has_ended(pid: int) -> int | None:
    """Return the exit code of a child (minus the signal that killed it), None while it lives."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None
