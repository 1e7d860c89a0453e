"""Processes that do a part of the outbox's work and kill themselves at a point.

They are forks, so that a test may have many: each makes connections of its own.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any, ClassVar

from sqlalchemy.orm import Session

import onqueue
from onqueue.clock import SystemClock
from onqueue.config import connection_config
from onqueue.console import build_group
from onqueue.control import cancel
from onqueue.drivers.redis import RedisQueue
from onqueue.failed.database import DatabaseFailedJobs
from onqueue.failed.retry import retry_failed
from onqueue.failed.tables import create_all as create_failed
from onqueue.outbox import Reconciler, Relay, SqlAlchemyTransactions, SqlOutbox, create_all
from onqueue.stores import FailedJob
from support.sql_engines import engine_for
from support.waiting import eventually

REDIS = "redis"


class Ship(onqueue.Job):
    """Waits for the commit it is dispatched in."""

    queue = "ships"
    wait_for_commit = True
    number: int

    def handle(self) -> None:
        """Nobody runs it: the tests look at the broker."""


class ShipDurably(Ship):
    """The same, kept until its outcome."""

    durable = True


def manager_of(database: str, broker: str) -> onqueue.QueueManager:
    """Return a manager whose outbox and failed store are in one database."""
    engine = engine_for(database)
    return onqueue.QueueManager(
        REDIS,
        {REDIS: {"driver": "redis", "url": broker, "queue": "ships"}},
        DatabaseFailedJobs(engine),
        outbox=SqlOutbox(engine),
        transactions=SqlAlchemyTransactions(),
    )


def die() -> None:
    """End as a power failure ends a process."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_around(target: Any, method: str, when: str, at_call: int = 1) -> None:
    """Die right before or right after the n-th call of a method of an object."""
    original: Callable[..., object] = getattr(target, method)
    calls = 0

    def wrapped(*args: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls == at_call and when == "before":
            die()
        result = original(*args, **options)
        if calls == at_call and when == "after":
            die()
        return result

    setattr(target, method, wrapped)


@dataclass(frozen=True)
class Task:
    """What a process is to do, and where it dies: `die` is a point, at its n-th passing."""

    name: str
    database: str
    broker: str
    die: str = ""
    at_call: int = 1
    count: int = 20
    batch: int = 5
    hold: float = 0.2
    job: str = ""
    durable: bool = False
    one_by_one: bool = False


class Tasks:
    """How each task is done, by its name."""

    points: ClassVar[dict[str, tuple[str, str, str]]] = {
        "before-push": ("queue", "push", "before"),
        "after-push": ("queue", "push", "after"),
        "before-push-many": ("queue", "push_many", "before"),
        "after-push-many": ("queue", "push_many", "after"),
        "before-mark": ("outbox", "mark_dispatched", "before"),
        "after-mark": ("outbox", "mark_dispatched", "after"),
        "after-claim": ("outbox", "claim", "after"),
        "after-claim-lost": ("outbox", "claim_lost", "after"),
        "after-cancel": ("queue", "cancel", "after"),
        "after-discard": ("outbox", "discard", "after"),
        "before-retry": ("failed", "_begin_retry", "before"),
        "after-begin-retry": ("failed", "_begin_retry", "after"),
        "after-revive": ("outbox", "revive", "after"),
        "before-end-retry": ("failed", "_end_retry", "before"),
        "after-end-retry": ("failed", "_end_retry", "after"),
        "before-record": ("failed", "record", "before"),
        "after-record": ("failed", "record", "after"),
    }

    def __init__(self, options: Task) -> None:
        """Make the parts, and lay the mine."""
        self.options = options
        self.manager = manager_of(options.database, options.broker)
        onqueue.use(self.manager)
        assert isinstance(self.manager.outbox, SqlOutbox)
        self.outbox = self.manager.outbox
        self.engine = self.outbox.engine
        self.queue = self.manager.connection()
        self.failed = self.manager.failed
        self.clock = SystemClock()
        if options.die in self.points:
            target, method, when = self.points[options.die]
            die_around(getattr(self, target), method, when, options.at_call)

    def dispatch(self) -> None:
        """Dispatch jobs in one transaction."""
        assert isinstance(self.manager.transactions, SqlAlchemyTransactions)
        job = ShipDurably if self.options.durable else Ship
        session = Session(self.engine)
        with self.manager.transactions.bind(session), session.begin():
            if self.options.one_by_one:
                for number in range(self.options.count):
                    job(number).dispatch()
            else:
                onqueue.dispatch_many([job(number) for number in range(self.options.count)])
            if self.options.die == "before-commit":
                session.flush()
                die()

    def dispatch_without_transaction(self) -> None:
        """Dispatch durable jobs, each on its own."""
        for number in range(self.options.count):
            ShipDurably(number).dispatch()

    def relay(self) -> None:
        """Push what waits."""
        options = self.options
        relay = Relay(self.outbox, self.manager, grace=0, hold=options.hold, batch=options.batch)
        relay.run_once()

    def reconcile(self) -> None:
        """Push what was lost."""
        Reconciler(self.outbox, self.manager, patience=self.options.hold).run_once()

    def cancel(self) -> None:
        """Cancel the job of an id."""
        cancel(self.options.job, manager=self.manager)

    def retry(self) -> None:
        """Retry the job of an id."""
        retry_failed(self.manager, self.options.job)

    def retry_all(self) -> None:
        """Retry every job at a rate, as the command does."""
        arguments = ["retry", "all", "--rate", "1000/s"]
        build_group(lambda: self.manager).main(arguments, standalone_mode=False)

    def retry_changed(self) -> None:
        """Retry the job of an id with another number."""
        arguments = ["retry", self.options.job, "--set", "number=2"]
        build_group(lambda: self.manager).main(arguments, standalone_mode=False)

    def record(self) -> None:
        """Record the failure of the job of an id."""
        self._record(self.options.job)

    def record_many(self) -> None:
        """Record the failures of so many jobs."""
        for number in range(1, self.options.count + 1):
            self._record(f"{number:032x}")

    def _record(self, job_id: str) -> None:
        payload = b'{"v":1,"job":"Ship","at":1000,"data":{"number":1}}'
        now = self.clock.now()
        self.failed.record(FailedJob(job_id, REDIS, "ships", "Ship", payload, "E", "e", "", 3, now))


def _run(task: Task) -> None:
    getattr(Tasks(task), task.name)()


class Scene:
    """A database, a broker, and processes on both."""

    def __init__(self, database: str, broker: str) -> None:
        self.database, self.broker = database, broker
        self.engine = engine_for(database)
        create_all(self.engine)
        create_failed(self.engine)
        self.outbox = SqlOutbox(self.engine)
        self.failed = DatabaseFailedJobs(self.engine)
        self.manager = onqueue.QueueManager(
            REDIS,
            {REDIS: {"driver": "redis", "url": broker, "queue": "ships"}},
            self.failed,
            outbox=self.outbox,
        )

    # ---- processes ----

    def start(self, task: str, **options: Any) -> BaseProcess:
        """Start a process; its output is the test's."""
        # What is pooled here must not be used by two.
        self.engine.dispose()
        self.manager.close()
        given = Task(task, self.database, self.broker, **options)
        process = multiprocessing.get_context("fork").Process(target=_run, args=(given,))
        process.start()
        return process

    def run(self, task: str, **options: Any) -> None:
        """Let a process do its task to the end."""
        self.ends_well(self.start(task, **options))

    def run_and_die(self, task: str, die: str, **options: Any) -> None:
        """Let a process die at a point; it must really have got there."""
        process = self.start(task, die=die, **options)
        process.join(60)
        assert process.exitcode == -signal.SIGKILL, f"{die} was not reached: {process.exitcode}"

    def ends_well(self, process: BaseProcess) -> None:
        """Wait for a process that must not fail."""
        process.join(60)
        assert process.exitcode == 0

    # ---- after a crash ----

    def relay(self) -> None:
        """Let a healthy relay work until nothing waits, also what a dead one had claimed."""
        relay = Relay(self.outbox, self.manager, grace=0, hold=0.2)

        def drained() -> bool:
            relay.run_once()
            return "pending" not in self.outbox.counts()

        eventually(drained)

    def reconcile(self, *, patience: float = 0.0) -> int:
        """Sweep once; return how many jobs had been lost."""
        return Reconciler(self.outbox, self.manager, patience=patience).run_once().lost

    # ---- what the broker has ----

    def run_jobs(self) -> list[str]:
        """Take every job as a worker does, and return the ids in the order they came."""
        queue = RedisQueue(connection_config("redis", {"driver": "redis", "url": self.broker}))
        leases = queue.leases()
        consumer = queue.consumer(leases.open(), ["ships"])
        ids: list[str] = []
        while jobs := consumer.turn(50, []).jobs:
            for job in jobs:
                consumer.mark(None, job.id)
                self.outbox.mark_outcome(job.id, "done")
                assert consumer.ack(job)
                ids.append(job.id)
        consumer.close()
        leases.close()
        queue.close()
        return ids

    def payloads(self) -> list[bytes]:
        """Return the payloads of what is ready, in order."""
        queue = self.manager.connection()
        assert isinstance(queue, RedisQueue)
        return [job.payload for job in queue.inspection().jobs("ships", "ready")]

    def waiting(self) -> int:
        """Return how many jobs the broker has."""
        return self.manager.connection().size("ships").total

    def close(self) -> None:
        """Give back all connections."""
        self.manager.close()
        self.engine.dispose()
