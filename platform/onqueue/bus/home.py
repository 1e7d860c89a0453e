"""What a chain or a batch lends to its jobs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onqueue.payload import option

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onqueue.job import Job
    from onqueue.plans import BatchId, ChainId


@dataclass(slots=True, frozen=True)
class Home:
    """Connection and queue for jobs that have none of their own, and the ids they belong to.

    With `binds` the connection is theirs whatever they say: a batch has only one. `context`
    travels beside what the manager's own context says.
    """

    connection: str = ""
    queue: str = ""
    batch: BatchId = ""
    chain: ChainId = ""
    binds: bool = False
    context: Mapping[str, str] = field(default_factory=dict)

    def connection_of(self, job: Job) -> str | None:
        """Return the connection of a job; None is the default one."""
        if self.binds:
            return self.connection
        own: str | None = option(job, "connection")
        return own or self.connection or None


ALONE = Home()
