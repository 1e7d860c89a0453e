"""One child as its parent knows it: what it was told, why it was killed, and who pays for that."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onqueue.contracts import Burial, Guilt
from onqueue.worker.deadlines import Deadlines
from onqueue.worker.processes import has_ended
from onqueue.worker.shared import Exit
from onqueue.worker.unix_signals import LOOK

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from onqueue.contracts import JobId
    from onqueue.worker.shared import Running, Shared, Slot


@dataclass(slots=True)
class Watch:
    """What the parent remembers of one slot; instants are monotonic."""

    slot: Slot
    deadlines: Deadlines = field(default_factory=Deadlines)
    progress: tuple[int, int] = (0, 0)
    progress_at: float = 0.0


@dataclass(slots=True)
class Child:
    """One child process; instants are monotonic."""

    pid: int
    holder: str
    shared: Shared
    notices: int
    started: float
    watches: tuple[Watch, ...] = ()
    killed: Burial | None = None
    overran: list[Running] = field(default_factory=list)
    exit_code: int | None = None
    told_to_stop: bool = False
    cut_at: float = 0.0
    owed: list[JobId] = field(default_factory=list)
    cancelled: set[JobId] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Watch each slot."""
        self.watches = tuple(Watch(slot, progress_at=self.started) for slot in self.shared.slots)

    @property
    def outgrew(self) -> bool:
        """Whether it was killed for its memory."""
        return self.killed is not None and self.killed.kind == "memory"

    def ended(self) -> bool:
        """Tell whether the process is gone."""
        if self.exit_code is None:
            self.exit_code = has_ended(self.pid)
        return self.exit_code is not None

    def look(self) -> None:
        """Make the child look at the shared memory."""
        if not self.ended():
            os.kill(self.pid, LOOK)

    def kill(self, cause: Burial) -> None:
        """Kill the child, once; the first cause counts."""
        if self.killed is None and not self.ended():
            self.killed = cause
            os.kill(self.pid, signal.SIGKILL)


def is_unclear(child: Child) -> bool:
    """Whether a process died while several jobs ran in it: nobody knows whose fault it was."""
    return _cause(child).kind == "death" and len(child.shared.running()) > 1


def burial_of(
    child: Child, verdict: Callable[[Running], Guilt], spared: Container[JobId] = ()
) -> Burial:
    """Return why a child that is gone ended, and what its running jobs are owed.

    `verdict` says what becomes of a job that had to be killed. One that had ended by the time the
    kill arrived is innocent, and so is whatever runs in its place: those keep their attempts.
    Of several that ran when the process died none is charged with a death, and they are run one at
    a time before others. An attempt it costs only those `spared` before, so that none can go on
    for ever killing processes among others.
    """
    cause, running = _cause(child), child.shared.running()
    if is_unclear(child):
        again = tuple(Guilt(one.job_id) for one in running if one.job_id in spared)
        return Burial("lapsed", guilty=again) if again else Burial("exit")
    if cause.kind not in {"timeout", "memory"}:
        return cause
    guilty = still_running(child.overran, running)
    if not guilty:
        return Burial("exit")
    return Burial(cause.kind, guilty=tuple(map(verdict, guilty)))


def _cause(child: Child) -> Burial:
    return _BURIALS.get(child.shared.exit) or child.killed or Burial("death")


def still_running(overran: Sequence[Running], last: Sequence[Running]) -> list[Running]:
    """Return those that overran and were running to the last."""
    numbers = {running.number for running in last}
    return [running for running in overran if running.number in numbers]


_BURIALS = {
    Exit.STOPPED: Burial("exit"),
    Exit.RECYCLED: Burial("exit"),
    Exit.LEASE_LOST: Burial("lapsed"),
    Exit.FAULT: Burial("death"),
}
