"""How much processor time the platform's own processes have used (Linux' ``/proc``)."""

from __future__ import annotations

import os
from pathlib import Path

from meet2be.local.stack import LocalStack, children_of

# Not the broker, the provider and the mail server: these are the outside world.
PROGRAMS = ("worker-default", "worker-cancellations", "worker-emails", "relay")
_UTIME = 11  # where utime, stime, cutime and cstime begin behind the command's name, proc(5)


def processor_seconds(stack: LocalStack) -> float:
    """Return user and system seconds of workers and relay, with those of their ended children."""
    parents = [pid for program in PROGRAMS for pid in stack.pids(program)]
    return sum(_of(pid) + sum(_of(child) for child in children_of(pid)) for pid in parents)


def _of(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return 0.0  # it has just ended, and its parent counts it
    return sum(map(int, fields[_UTIME : _UTIME + 4])) / os.sysconf("SC_CLK_TCK")
