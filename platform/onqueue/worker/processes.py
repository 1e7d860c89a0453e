"""Facts about processes that Linux tells: who dies with whom, and how much memory one has."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path
from typing import Final

_SET_PARENT_DEATH_SIGNAL: Final = 1
_MEBIBYTE: Final = 1024 * 1024
_PAGE = os.sysconf("SC_PAGE_SIZE")


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; exits when it already has."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def resident_memory() -> float:
    """Return the memory of this process that is not swapped out, in MiB."""
    pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    return pages * _PAGE / _MEBIBYTE


def has_ended(pid: int) -> int | None:
    """Return the exit code of a child (minus the signal that killed it), None while it lives."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None
