"""Why a worker stops, which reason wins when several hold, and with which exit code."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onqueue.worker.options import WorkerOptions


class StopReason(Enum):
    """Why a worker stopped, in the order in which reasons win."""

    BROKER_LOST = "the broker is away"
    INTERRUPTED = "a signal asked for it"
    MEMORY = "the memory limit is reached"
    RESTART = "a restart was requested"
    EMPTY = "there is no job left"
    MAX_TIME = "the time limit is reached"
    MAX_JOBS = "the limit of jobs is reached"

    @property
    def exit_code(self) -> int:
        """Return what the process exits with: 0 when it may simply be started again."""
        return _EXIT_CODES.get(self, 0)


_EXIT_CODES = {StopReason.BROKER_LOST: 1, StopReason.MEMORY: 12}


@dataclass(slots=True)
class Situation:
    """What the decision to stop looks at. Times are seconds, `memory` is MiB."""

    broker_lost: bool = False
    interrupted: bool = False
    restart_requested: bool = False
    empty: bool = False
    memory: float = 0.0
    running_for: float = 0.0
    jobs: int = 0


def stop_reason(options: WorkerOptions, now: Situation) -> StopReason | None:
    """Return the first reason that holds, None when the worker goes on.

    A lost broker ends only a worker that was to end by itself; others wait for its return.
    """
    ends_by_itself = options.once or options.stop_when_empty
    holds = (
        (StopReason.BROKER_LOST, now.broker_lost and ends_by_itself),
        (StopReason.INTERRUPTED, now.interrupted),
        (StopReason.MEMORY, 0 < options.memory <= now.memory),
        (StopReason.RESTART, now.restart_requested),
        (StopReason.EMPTY, now.empty and ends_by_itself),
        (StopReason.MAX_TIME, 0 < options.max_time <= now.running_for),
        (StopReason.MAX_JOBS, 0 < options.job_limit <= now.jobs),
    )
    return next((reason for reason, it_holds in holds if it_holds), None)
