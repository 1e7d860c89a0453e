"""What `queue work` was asked to do."""

from __future__ import annotations

import os
from dataclasses import dataclass

from onqueue.errors import ConfigurationError

MOST_THREADS = 1000
"""Jobs one child can run at once; for more there are more workers."""
LAST_CORE = -1
"""The `core` that stands for the last one which the process may use, whatever its number."""


@dataclass(slots=True, frozen=True)
class WorkerOptions:
    """The options of one worker. Times are seconds, `memory` is MiB; 0 means without limit.

    `tries`, `timeout` and `backoff` apply to jobs that say nothing themselves. `sleep` is the
    pause between two looks while paused, `rest` the one after each job. `concurrency` is how many
    jobs run at once, each in a thread of its own when there are several. `weights` are those of
    the `queues`, in their order; without any the queues are served by strict priority. All threads
    of a child keep to the processor core `core`, where one is named; -1 is the last.
    """

    connection: str | None = None
    queues: tuple[str, ...] = ()
    tries: int = 1
    timeout: float = 60.0
    backoff: tuple[float, ...] = (0.0,)
    sleep: float = 3.0
    rest: float = 0.0
    max_jobs: int = 0
    max_time: float = 0.0
    memory: float = 512.0
    once: bool = False
    stop_when_empty: bool = False
    force: bool = False
    concurrency: int = 1
    weights: tuple[int, ...] = ()
    core: int | None = None

    def __post_init__(self) -> None:
        """Raise `ConfigurationError` naming every value that cannot be used."""
        figures = ("tries", "timeout", "sleep", "rest", "max_jobs", "max_time", "memory")
        problems = [
            f"{name!r} must be a number from 0 on, not {getattr(self, name):g}"
            for name in figures
            if not _is_figure(getattr(self, name))
        ]
        if not self.backoff or not all(map(_is_figure, self.backoff)):
            problems.append(f"'backoff' must be one or more seconds, not {self.backoff!r}")
        if not 1 <= self.concurrency <= MOST_THREADS:
            problems.append(
                f"'concurrency' must be a whole number from 1 to {MOST_THREADS}, "
                f"not {self.concurrency!r}"
            )
        if self.weights and len(self.weights) != len(set(self.queues)):
            problems.append(f"'weights' must be one for each of the queues, not {self.weights!r}")
        if not all(weight >= 1 for weight in self.weights):
            problems.append(f"'weights' must be whole numbers from 1 on, not {self.weights!r}")
        if self.core not in {None, LAST_CORE, *(cores := os.sched_getaffinity(0))}:
            shown = ", ".join(map(str, sorted(cores)))
            problems.append(
                f"'core' must be one this process may use ({shown}), or {LAST_CORE} for the last"
                f" of them, not {self.core}"
            )
        if not all(self.queues):
            problems.append(f"'queues' must be names, not {self.queues!r}")
        if problems:
            subject = "The options of the worker"
            raise ConfigurationError(subject, problems)

    @property
    def kept_core(self) -> int | None:
        """The number of the core that jobs are kept to, None for none."""
        return max(os.sched_getaffinity(0)) if self.core == LAST_CORE else self.core

    @property
    def job_limit(self) -> int:
        """How many jobs the worker may run in all; 0 is without limit."""
        return 1 if self.once else self.max_jobs


def _is_figure(value: float) -> bool:
    return 0 <= value < float("inf")  # which a NaN is not
