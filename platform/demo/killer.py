"""Kills workers with SIGKILL while a run goes on, spread over its progress."""

from __future__ import annotations

import os
import random
import signal
from dataclasses import dataclass, field

from meet2be.local.stack import LocalStack, children_of

# Whose workers are killed and what of them: the parent, the child that runs jobs, or both at once.
TARGETS = (
    ("worker-cancellations", "child"),
    ("worker-cancellations", "parent"),
    ("worker-emails", "child"),
    ("worker-cancellations", "both"),
    ("worker-emails", "parent"),
    ("worker-default", "both"),
)


@dataclass(slots=True)
class Killer:
    """Kills ``kills`` workers, the next one whenever progress has gone far enough."""

    stack: LocalStack
    kills: int
    seed: int
    done: list[str] = field(default_factory=list)
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        """Draw the same victims for the same seed."""
        self._random = random.Random(self.seed)

    def watch(self, progress: float) -> None:
        """Kill the workers that are due at ``progress`` (0 to 1)."""
        while len(self.done) < self.kills and progress >= self._next_at():
            if not self._kill_one():
                return

    def _next_at(self) -> float:
        return (len(self.done) + 1) / (self.kills + 2) * 0.9

    def _kill_one(self) -> bool:
        program, part = TARGETS[len(self.done) % len(TARGETS)]
        parents = self.stack.pids(program)
        if not parents:
            return False  # it is being restarted; the next look finds it
        parent = self._random.choice(parents)
        children = children_of(parent)
        victims = {"parent": [parent], "child": children, "both": [parent, *children]}[part]
        if not victims:
            return False
        for pid in victims:
            _kill(pid)
        self.done.append(f"{program} ({part})")
        return True


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it died with its parent
