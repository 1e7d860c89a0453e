"""How much processor time the platform's own processes have used (Linux' ``/proc``)."""

from __future__ import annotations

import os
from pathlib import Path

from meet2be.local.stack import LocalStack, children_of

# Not the broker, the provider and the mail server: these are the outside world.
PROGRAMS = (
    "web", "relay", "scheduler", "worker-cancellations", "worker-default", "worker-emails",
    "worker-figures", "worker-imports", "worker-long", "worker-webhooks",
)  # fmt: skip
_UTIME = 11  # where utime, stime, cutime and cstime begin behind the command's name, proc(5)


def processor_seconds(stack: LocalStack) -> dict[str, float]:
    """Return each program's user and system seconds, with those of their ended children.

    The web's are those of the provider's messages and of whoever looks at pages meanwhile.
    """
    return {program: sum(map(_of_tree, stack.pids(program))) for program in PROGRAMS}


def _of_tree(parent: int) -> float:
    return _of(parent) + sum(map(_of, children_of(parent)))


def _of(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return 0.0  # it has just ended, and its parent counts it
    return sum(map(int, fields[_UTIME : _UTIME + 4])) / os.sysconf("SC_CLK_TCK")
