"""Which worker pools there are: data, held against ``infra/supervisor/programs`` by a test."""

from __future__ import annotations

from dataclasses import dataclass

STOP_MARGIN = 60
"""Seconds that Supervisor waits beyond the longest job before it kills a stopping worker."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Worker processes of one kind; ``timeout`` is the longest job's, in seconds.

    ``concurrency`` is how many jobs each of them runs at once, in threads: for jobs that wait.
    ``core`` is the processor's core that they keep to, -1 for the last: for a pool of one.
    """

    name: str
    connection: str
    queues: tuple[str, ...]
    processes: int
    timeout: int
    concurrency: int = 1
    core: int | None = None

    @property
    def stop_wait(self) -> int:
        """Seconds Supervisor must give a worker of this pool to finish its job."""
        return self.timeout + STOP_MARGIN

    @property
    def command(self) -> str:
        """What Supervisor runs, without the interpreter in front."""
        at_once = f" --concurrency={self.concurrency}" if self.concurrency > 1 else ""
        kept = "" if self.core is None else f" --core={self.core}"
        return f"-m workers queue {self.connection} --queue={','.join(self.queues)}{at_once}{kept}"


POOLS = (
    Pool("worker-default", "redis", ("critical", "high", "default", "low"), 1, 600),
    Pool("worker-cancellations", "redis-cancellations", ("cancellations",), 2, 18_000),
    Pool("worker-emails", "redis", ("transactional-emails", "emails"), 2, 600),
    Pool("worker-webhooks", "redis", ("webhooks",), 1, 60, concurrency=64, core=-1),
    Pool("worker-imports", "redis", ("imports",), 2, 1800),
    Pool("worker-long", "redis-long", ("exports",), 2, 3600),
    Pool("worker-figures", "redis-long", ("processing",), 1, 120),
)
