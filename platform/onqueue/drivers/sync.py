"""A connection that runs its jobs inside the dispatching process, at once.

A delay is ignored, tries and backoff have no meaning: the job has one attempt, and what it raises
is raised to the dispatcher, after the job was written to the failed store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from onqueue.contracts import QueueSize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onqueue.config import ConnectionConfig
    from onqueue.contracts import JobId, Message


class Run(Protocol):
    """Runs one job; raises what the job raises."""

    def __call__(self, connection: str, message: Message) -> None:
        """Run it to its outcome."""
        ...


class SyncQueue:
    """Runs each job when it is pushed, by what the manager hands in."""

    runs_inline: ClassVar[bool] = True
    supports: frozenset[str] = frozenset({"runs-inline"})

    def __init__(self, config: ConnectionConfig, *, run: Run) -> None:
        """Keep the settings and what runs a job."""
        self.name = config.name
        self.config = config
        self._run = run

    def push(self, message: Message) -> bool:
        """Run the job now; raises what it raises."""
        self._run(self.name, message)
        return True

    def push_many(self, messages: Sequence[Message]) -> int:
        """Run the jobs one after the other; the first that raises ends it."""
        for message in messages:
            self.push(message)
        return len(messages)

    def size(self, queue: str) -> QueueSize:  # noqa: ARG002 - nothing ever waits
        """Return zeros."""
        return QueueSize()

    def queues(self) -> list[str]:
        """Return none: nothing ever waits."""
        return []

    def clear(self, queue: str) -> int:  # noqa: ARG002 - nothing ever waits
        """Return 0."""
        return 0

    def forget(self, job_id: JobId) -> bool:  # noqa: ARG002 - nothing ever waits
        """Return False."""
        return False

    def knows(self, ids: Sequence[JobId]) -> set[JobId]:  # noqa: ARG002 - nothing ever waits
        """Return none."""
        return set()

    def pause(self, queue: str | None, reason: str = "", until: float | None = None) -> None:
        """Change nothing: no job is ever handed out."""

    def resume(self, queue: str | None) -> None:
        """Change nothing: no job is ever handed out."""

    def paused(self) -> dict[str, str]:
        """Return none."""
        return {}

    def check(self) -> None:
        """Find nothing wrong: there is no broker."""

    def close(self) -> None:
        """Have nothing to give back."""
