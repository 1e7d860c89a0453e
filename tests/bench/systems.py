"""The systems that are measured, each in the set-ups that were the fastest on two cores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Safety = Literal["at least once", "at most once"]


@dataclass(frozen=True)
class System:
    """One queue in one set-up: its application's module and the command of its worker.

    A job that was taken off is lost when an "at most once" worker dies.
    """

    name: str
    family: str
    app: str
    command: tuple[str, ...]
    safety: Safety
    options: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    is_quick: bool = False
    """Whether a short run measures it, too."""

    @property
    def is_ours(self) -> bool:
        """Whether it runs in the project's environment."""
        return self.family == "onqueue"


ONQUEUE = System(
    "onqueue",
    "onqueue",
    "bench.peers.onqueue_app",
    ("onqueue", "--app", "bench.peers.onqueue_app:queues", "work"),
    "at least once",
    is_quick=True,
)


def _dramatiq(threads: int, prefetch: int, middleware: str, *, is_quick: bool = False) -> System:
    count = f"{threads} thread{'s' if threads > 1 else ''}"
    fetched = f"prefetch {prefetch}" if prefetch else "its own prefetch"
    return System(
        f"Dramatiq, {count}, {fetched}, {middleware} middleware",
        "Dramatiq",
        "bench.peers.dramatiq_app",
        ("dramatiq", "bench.peers.dramatiq_app", "-p", "1", "-t", str(threads)),
        "at least once",
        {"middleware": middleware},
        {"dramatiq_queue_prefetch": str(prefetch)} if prefetch else {},
        is_quick,
    )


def _celery(pool: str, *, late: bool, prefetch: int, is_quick: bool = False) -> System:
    count = () if pool == "solo" else ("-c", "4" if pool == "threads" else "1")
    return System(
        f"Celery, {pool}, {'late' if late else 'early'} acks",
        "Celery",
        "bench.peers.celery_app",
        ("celery", "-A", "bench.peers.celery_app", "worker", "-P", pool, *count, "-l", "ERROR",
         "--without-gossip", "--without-mingle", "--without-heartbeat"),
        "at least once" if late else "at most once",
        {"acks_late": late, "prefetch": prefetch},
        is_quick=is_quick,
    )  # fmt: skip


def _rq(name: str, worker: str, *, is_quick: bool = False) -> System:
    return System(
        f"RQ, {name}",
        "RQ",
        "bench.peers.rq_app",
        ("rq", "worker", "-w", worker, "-q", "--disable-job-desc-logging", "--url", "{url}",
         "default"),
        "at least once",
        is_quick=is_quick,
    )  # fmt: skip


def _huey(kind: str, count: int = 1, *, is_quick: bool = False) -> System:
    return System(
        f"Huey, {count} {kind}{'s' if count > 1 else ''}",
        "Huey",
        "bench.peers.huey_app",
        ("huey_consumer", "bench.peers.huey_app.huey", "-k", kind, "-w", str(count), "-q"),
        "at most once",
        is_quick=is_quick,
    )


PEERS: tuple[System, ...] = (
    _dramatiq(1, 1000, "no", is_quick=True),
    _dramatiq(1, 1000, "default"),
    _dramatiq(8, 0, "default"),
    _huey("thread", is_quick=True),
    _huey("thread", 4),
    _huey("process"),
    _celery("solo", late=False, prefetch=0, is_quick=True),
    _celery("prefork", late=False, prefetch=0),
    _celery("prefork", late=True, prefetch=0),
    _celery("threads", late=False, prefetch=0),
    _rq("SimpleWorker", "rq.worker.SimpleWorker", is_quick=True),
    _rq("forking worker", "rq.worker.Worker"),
    System(
        "arq",
        "arq",
        "bench.peers.arq_app",
        ("arq", "bench.peers.arq_app.WorkerSettings"),
        "at least once",
        {"max_jobs": 100, "poll_delay": 0.001},
        is_quick=True,
    ),
)
