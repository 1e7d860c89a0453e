"""Jobs with bounds of their own: a grace at a deploy, and memory that they may not outgrow."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from onqueue.contracts import Burial
from onqueue.worker.deadlines import GRACE
from onqueue.worker.processes import memory_of
from onqueue.worker.shared import Cut

if TYPE_CHECKING:
    from onqueue.contracts import Clock
    from onqueue.worker.watched import Child

log = logging.getLogger("onqueue.worker")

PATIENCE: Final = 10.0
"""Seconds after which an `interruptible` job that names none is cut when its worker is to stop."""

FACTOR: Final = 2.0
"""How many times its `memory_limit` a job's process may have before it is killed for it."""

WEIGHING: Final = 0.25
"""Seconds between two looks at the memory of a child that runs a job with a limit."""


@dataclass(slots=True)
class Bounds:
    """Keeps one child's jobs within their bounds; instants are monotonic."""

    clock: Clock
    _stopping_since: float | None = None
    _weighed_at: float = 0.0
    _cut_at: dict[int, float] = field(default_factory=dict)

    def keep(self, child: Child) -> None:
        """Do what is due now."""
        now = self.clock.monotonic()
        if child.told_to_stop:
            self._interrupt(child, now)
        if now >= self._weighed_at + WEIGHING and self._is_limited(child):
            self._weighed_at = now
            self._weigh(child)

    def next_look(self, child: Child) -> float | None:
        """Return the instant at which something will be due, None where nothing is bounded."""
        instants = [self._weighed_at + WEIGHING] if self._is_limited(child) else []
        if self._stopping_since is not None:
            for slot in child.shared.slots:
                if slot.number in self._cut_at:
                    instants.append(self._cut_at[slot.number] + GRACE)
                elif slot.number and slot.patience is not None:
                    instants.append(self._stopping_since + slot.patience)
        return min(instants, default=None)

    # ---- the grace ----

    def _interrupt(self, child: Child, now: float) -> None:
        """Cut what may be cut and had its grace; kill the child when only deaf ones are left."""
        if self._stopping_since is None:
            self._stopping_since = now
        is_deaf = []
        for slot in child.shared.slots:
            number, patience = slot.number, slot.patience
            if not number:
                continue
            is_due = patience is not None and now >= self._stopping_since + patience
            if is_due and number not in self._cut_at:
                self._cut_at[number] = now
                slot.cut(number, Cut.INTERRUPT)
                child.look()
            is_deaf.append(now >= self._cut_at.get(number, now) + GRACE)
        if is_deaf and all(is_deaf):
            child.kill(Burial("exit"))

    # ---- the memory ----

    def _is_limited(self, child: Child) -> bool:
        return any(slot.number and slot.memory_limit for slot in child.shared.slots)

    def _weigh(self, child: Child) -> None:
        """Kill the child when it has outgrown a running job's limit too far; that job pays."""
        memory = memory_of(child.pid)
        guilty = [
            running
            for slot in child.shared.slots
            if (limit := slot.memory_limit) and memory >= limit * FACTOR
            if (running := slot.running()) is not None
        ]
        if guilty:
            ids = ", ".join(running.job_id for running in guilty)
            log.error("child %d has %.0f MiB, killed for job %s", child.pid, memory, ids)
            child.overran = guilty
            child.kill(Burial("memory"))
