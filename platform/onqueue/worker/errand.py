"""What the parent of a worker tells a child it forks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onqueue.contracts import JobId
    from onqueue.worker.options import WorkerOptions


@dataclass(slots=True, frozen=True)
class Errand:
    """What a parent gives a child to do; `started` (monotonic) and `jobs_before` are the worker's.

    With `only` the child fails those doomed jobs and ends; it ends after `most` jobs (0: not so).
    """

    connection: str
    queues: tuple[str, ...]
    holder: str
    options: WorkerOptions
    started: float
    jobs_before: int = 0
    only: tuple[JobId, ...] = ()
    most: int = 0
