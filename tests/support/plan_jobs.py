"""Jobs of chains and batches for tests with real workers, each noting in a ledger what happened."""

import os
import signal
from pathlib import Path
from typing import Any

import onqueue
from onqueue import Batch, Job, QueueManager
from onqueue.bus.batch_tables import create_all as create_batches
from onqueue.clock import SystemClock
from onqueue.failed.database import DatabaseFailedJobs
from onqueue.failed.tables import create_all
from onqueue.outbox import SqlAlchemyTransactions, SqlOutbox
from onqueue.outbox import create_all as create_outbox
from onqueue.worker import WorkerOptions
from support import worker_jobs
from support.sql_engines import sqlite_engine
from support.waiting import eventually
from support.worker_forks import ForkedWorker
from support.worker_jobs import LEASE, Line, append, note, read_ledger

_clock = SystemClock()


def make_manager(
    url: str,
    ledger: str,
    *,
    other: str = "",
    outbox: bool = False,
    batches: str = "connection",
    **settings: Any,
) -> QueueManager:
    """Return a manager with a failed store to retry from.

    With `other` it has a second connection, under that prefix.
    """
    worker_jobs.make_manager(url, ledger)
    engine = sqlite_engine(Path(f"{ledger}.db"))
    create_all(engine)
    if outbox:
        create_outbox(engine)
    described = {"driver": "redis", "url": url, "lease": LEASE, **settings}
    connections = {"redis": described, "sync": {"driver": "sync"}}
    if other:
        connections["other"] = {**described, "prefix": other}
    kept: dict[str, Any] = {"driver": batches}
    if batches == "database":
        create_batches(engine)
        kept["engine"] = engine
    manager = QueueManager(
        "redis",
        connections,
        failed=DatabaseFailedJobs(engine),
        outbox=SqlOutbox(engine) if outbox else None,
        transactions=SqlAlchemyTransactions() if outbox else None,
        app_keys=(("test", b"k" * 32),),
        batches=kept,
    )
    onqueue.use(manager)
    return manager


class PlanApp:
    """An application whose jobs are those of this module, with workers forked from the test."""

    def __init__(self, directory: Path, url: str, **settings: Any) -> None:
        self.directory = directory
        self._url = url
        self._settings = settings
        self.ledger = directory / "ledger"
        self.manager = make_manager(url, str(self.ledger), **settings)
        self.workers: list[ForkedWorker] = []

    def work(self, **options: Any) -> ForkedWorker:
        """Start a worker."""
        given = WorkerOptions(**{"memory": 0, **options})
        worker = ForkedWorker(self.directory, self._url, given, make=make_manager, **self._settings)
        self.workers.append(worker)
        return worker

    def drain(self, **options: Any) -> None:
        """Let a worker do all there is, callbacks too."""
        assert self.work(stop_when_empty=True, **options).wait() == 0, self.said()

    def said(self) -> str:
        """Return what the workers logged."""
        log = self.directory / "workers.log"
        return log.read_text() if log.exists() else ""

    def lines(self) -> list[Line]:
        """Return what jobs noted."""
        return read_ledger(self.ledger)

    def ran(self, *beginnings: str) -> list[str]:
        """Return the labels of the jobs that did their work (and begin so), in order."""
        labels = [line.label for line in self.lines() if line.what == "did"]
        return [label for label in labels if not beginnings or label.startswith(beginnings)]

    def told(self, *moments: str) -> list[str]:
        """Return which callbacks were called, in order."""
        return [
            line.what.removeprefix("told:")
            for line in self.lines()
            if line.what.startswith("told:") and (not moments or line.label in moments)
        ]

    def wait_for(self, label: str) -> None:
        """Return once a job did its work."""

        def has_run() -> None:
            assert label in self.ran(), self.said()

        eventually(has_run)

    def wait_for_told(self, what: str) -> None:
        """Return once a callback was called so."""

        def is_told() -> None:
            assert what in self.told(), self.said()

        eventually(is_told)

    def is_empty(self) -> bool:
        """Tell whether every job has an outcome."""
        return self.manager.connection().size("default").total == 0

    def close(self) -> None:
        """Kill what still runs."""
        for worker in self.workers:
            worker.end()
        self.manager.close()


class Do(Job):
    """Ends in the way it is told to."""

    tries = 2
    timeout = 30.0
    label: str
    how: str = "succeed"

    def middleware(self) -> list[Any]:
        return [_turn_away] if self.how == "skip" else []

    def handle(self) -> None:
        match self.how:
            case "release" if self.attempts == 1:
                note(self, "released")
                self.release(0)
                return
            case "delete":
                self.delete()
            case "fail":
                note(self, "did")
                self.fail("as told")
                return
            case "raise":
                note(self, "did")
                raise ValueError("as told")
            case "cancel" if self.batch is not None:
                self.batch.cancel()
        note(self, "did")


class Slow(Do):
    """Runs longer than it may."""

    tries = 1
    timeout = 1

    def handle(self) -> None:
        note(self, "did")
        _clock.sleep(300)


class Only(Do):
    """Is unique by a key that is no part of its label."""

    unique = True
    key: str = "one"

    def unique_id(self) -> str:
        return self.key


class OnlySlow(Slow):
    """Is unique and runs longer than it may."""

    unique = True

    def unique_id(self) -> str:
        return "slow"


class OnlyUntil(Only):
    """Gives its lock back when it starts, and dispatches the next of its kind while it runs."""

    unique_until_processing = True
    again: bool = False

    def middleware(self) -> list[Any]:
        return [_put_off] if self.how == "put off" else []

    def handle(self) -> None:
        if self.again:
            OnlyUntil(f"{self.label}-next", key=self.key).dispatch()
        note(self, "did")


class Heal(Job):
    """Fails until a file is there."""

    label: str
    path: str

    def handle(self) -> None:
        note(self, "did")
        if not Path(self.path).exists():
            raise ValueError("not healed yet")


class Grow(Job):
    """Adds members to its own batch, or links to its own chain."""

    label: str
    what: str
    more: int = 2

    def handle(self) -> None:
        note(self, "did")
        jobs = [Do(f"{self.label}+{number}") for number in range(self.more)]
        match self.what:
            case "batch":
                assert self.batch is not None
                self.batch.add(jobs)
            case "front":
                self.prepend_to_chain(*jobs)
            case "back":
                self.append_to_chain(*jobs)
            case _:
                self.prepend_to_chain(*jobs)
                if self.attempts == 1:
                    self.release(0)


class DieOnce(Job):
    """Kills its worker at its first attempt, before or after its work."""

    tries = 5
    label: str

    def handle(self) -> None:
        if self.attempts == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        note(self, "did")


class Tell(Job):
    """A callback that is a job; notes how its batch stood."""

    label: str

    def handle(self) -> None:
        batch = self.batch
        assert batch is not None
        note(self, f"told:{self.label}:{batch.processed}/{batch.total}")


def _turn_away(job: Job, inner: Any) -> None:
    """Go no further."""


def _put_off(job: Job, inner: Any) -> None:
    """Let the first attempt come again later."""
    if job.attempts > 1:
        inner(job)
        return
    note(job, "put-off")
    job.release(2)


def on_error(error: onqueue.errors.MemberFailed) -> None:
    """Note the error of a chain."""
    _tell("chain", f"{error.job}:{error.error_type}")


def on_before(batch: Batch) -> None:
    """Note that a batch begins."""
    _tell("before", f"before:{batch.total}")


def on_progress(batch: Batch) -> None:
    """Note that a member ended."""
    _tell("progress", "progress")


def on_then(batch: Batch) -> None:
    """Note that a batch ended well."""
    _tell("then", f"then:{batch.progress()}")


def on_catch(batch: Batch, error: onqueue.errors.MemberFailed) -> None:
    """Note the first failure of a batch."""
    _tell("catch", f"catch:{error.error_type or 'unknown'}")


def on_finally(batch: Batch) -> None:
    """Note that a batch has ended."""
    _tell("finally", f"finally:{batch.processed}/{batch.total}:{batch.failed}")


def _tell(label: str, what: str) -> None:
    assert worker_jobs._ledger is not None
    append(worker_jobs._ledger, f"{label} told:{what} 1 {os.getpid()} {_clock.monotonic():.4f}\n")


class Sure(Job):
    """Has as many attempts as it takes, and ends as it is told to."""

    tries = 0
    label: str
    fails: bool = False
    seconds: float = 0.004

    def handle(self) -> None:
        _clock.sleep(self.seconds)
        note(self, "did")
        if self.fails:
            self.fail("as told")


class Once(Job):
    """A callback that notes which job it is: the same in each attempt."""

    tries = 0
    label: str

    def handle(self) -> None:
        assert self.batch is not None
        note(self, f"told:{self.job_id}:{self.batch.processed}/{self.batch.total}")
