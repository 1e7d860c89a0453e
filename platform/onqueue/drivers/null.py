"""A connection that throws its jobs away: for tests and for switching a connection off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onqueue.contracts import QueueSize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onqueue.config import ConnectionConfig
    from onqueue.contracts import Clock, JobId, Message


class NullQueue:
    """Accepts everything and keeps nothing."""

    supports: frozenset[str] = frozenset({"discards"})

    def __init__(self, config: ConnectionConfig, *, clock: Clock | None = None) -> None:
        """Keep the settings; the clock is taken as from every driver and not needed."""
        del clock
        self.name = config.name
        self.config = config

    def push(self, message: Message) -> bool:  # noqa: ARG002 - thrown away
        """Return True: the job counts as taken."""
        return True

    def push_many(self, messages: Sequence[Message]) -> int:
        """Return how many were thrown away."""
        return len(messages)

    def size(self, queue: str) -> QueueSize:  # noqa: ARG002 - all are empty
        """Return zeros."""
        return QueueSize()

    def queues(self) -> list[str]:
        """Return none."""
        return []

    def clear(self, queue: str) -> int:  # noqa: ARG002 - all are empty
        """Return 0."""
        return 0

    def forget(self, job_id: JobId) -> bool:  # noqa: ARG002 - nothing waits
        """Return False."""
        return False

    def knows(self, ids: Sequence[JobId]) -> set[JobId]:  # noqa: ARG002 - nothing waits
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
