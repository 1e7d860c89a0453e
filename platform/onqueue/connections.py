"""Which queues a process has: names become drivers, made when they are first asked for."""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

from onqueue.clock import SystemClock
from onqueue.config import connection_configs
from onqueue.errors import (
    ConfigurationError,
    NoCurrentManager,
    NoInlineRunner,
    OnQueueError,
    RetryAfterTooShort,
    UnknownConnection,
    UnsupportedByDriver,
    is_beyond_retry,
    nearest,
)
from onqueue.keyring import Keyring
from onqueue.options import seconds
from onqueue.registry import registered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import svcs

    from onqueue.bus.batches_database import DatabaseBatches
    from onqueue.config import ConnectionConfig
    from onqueue.contracts import Clock, Message, Queue, Tracer, WorkableQueue
    from onqueue.drivers.sync import End
    from onqueue.job import Dispatching, Job
    from onqueue.schedule.definition import Schedule
    from onqueue.stores import FailedJobs, Outbox, Transactions

log = logging.getLogger("onqueue.connections")

DRIVERS: dict[str, str] = {
    "redis": "onqueue.drivers.redis:RedisQueue",
    "sync": "onqueue.drivers.sync:SyncQueue",
    "null": "onqueue.drivers.null:NullQueue",
}
"""Driver names and what makes a queue of them; anything with a colon is such a place itself.

The place is called with the settings, `clock=` and (if it has `runs_inline`) `run=`.
"""

FAILED_STORES: dict[str, str] = {
    "null": "onqueue.failed.null:NullFailedJobs",
    "memory": "onqueue.failed.memory:MemoryFailedJobs",
    "database": "onqueue.failed.database:DatabaseFailedJobs",
    "dynamodb": "onqueue.failed.dynamodb:DynamoFailedJobs",
}
"""Failed stores by name; called with the store's other settings as keywords."""

GivesUp: TypeAlias = "Callable[[BaseException], bool]"
"""Tells of what a job raised whether trying again is pointless."""

DATABASE_BATCHES = "onqueue.bus.batches_database:DatabaseBatches"

Scope: TypeAlias = "Callable[[Mapping[str, str]], AbstractContextManager[Any]]"
"""Re-enters, around a run, what `context` wrote down when the job was dispatched."""


class InlineRunner(Protocol):
    """Runs one job in the calling process to its outcome; raises nothing that the job raised."""

    def __call__(
        self,
        manager: QueueManager,
        connection: str,
        message: Message,
        *,
        about: str = "",
        starts: Callable[[], object] | None = None,
    ) -> End:
        """Run it; `about` is what a callback is about, `starts` is called right before `handle`."""
        ...


def _no_runner(
    manager: QueueManager,
    connection: str,
    message: Message,
    *,
    about: str = "",
    starts: Callable[[], object] | None = None,
) -> End:
    del manager, about, starts
    raise NoInlineRunner(message.id, connection)


_inline_runner: InlineRunner = _no_runner


def install_inline_runner(runner: InlineRunner) -> None:
    """Say what runs jobs inline; called once, by the bus, which stands above this module."""
    global _inline_runner  # noqa: PLW0603 - the one seam through which a driver reaches upwards
    _inline_runner = runner


class QueueManager:
    """The connections of one process, and what dispatching and running have in common."""

    def __init__(
        self,
        default: str,
        connections: Mapping[str, Mapping[str, Any]],
        failed: Mapping[str, Any] | FailedJobs | None = None,
        *,
        outbox: Outbox | None = None,
        transactions: Transactions | None = None,
        services: svcs.Registry | None = None,
        clock: Clock | None = None,
        context: Callable[[], Mapping[str, str]] | None = None,
        scope: Scope | None = None,
        app_keys: Iterable[tuple[str, bytes]] = (),
        dont_retry: GivesUp | tuple[type[BaseException], ...] = (),
        schedule: Schedule | None = None,
        batches: Mapping[str, Any] | None = None,
    ) -> None:
        """Take the settings; raises `ConfigurationError` with everything that is wrong.

        Nothing is connected yet. `context` is what travels with each payload (tenant, trace),
        `scope` what re-enters it around a run. Of the `app_keys` (pairs of id and key) the first
        signs and encrypts, and all of them verify and decrypt. What a job raises and `dont_retry`
        names (exception types, or a function that tells) fails it at once. `schedule` is what
        `schedule work` runs. `batches` tells where batches are kept: `driver` "connection" (with
        their jobs), or "database" and its `engine`.
        """
        self.configs: dict[str, ConnectionConfig] = connection_configs(connections)
        if default not in self.configs:
            raise UnknownConnection(default, self.configs)
        self.default = default
        self.outbox = outbox
        self.transactions = transactions
        self.services = services
        self.clock: Clock = clock or SystemClock()
        self.context = context
        self.tracer: Tracer | None = None
        """Follows jobs, once one is installed."""
        self.schedule = schedule
        self.keys = Keyring(app_keys)
        self._dont_retry = dont_retry
        self.dispatcher: Dispatching | None = None
        self._scope = scope
        self._failed_settings: Mapping[str, Any] | FailedJobs = failed or {"driver": "null"}
        self._failed: FailedJobs | None = None
        self._batch_settings: Mapping[str, Any] = batches or {"driver": "connection"}
        self._batches: DatabaseBatches | None = None
        self._queues: dict[str, Queue] = {}
        self._lock = Lock()
        self._check_names()

    # ---- connections ----

    def config(self, name: str | None = None) -> ConnectionConfig:
        """Return a connection's settings; raises `UnknownConnection`."""
        try:
            return self.configs[name or self.default]
        except KeyError:
            raise UnknownConnection(name or self.default, self.configs) from None

    def connection(self, name: str | None = None) -> Queue:
        """Return a connection (None: the default one), made at its first use."""
        config = self.config(name)
        known = self._queues.get(config.name)
        if known is not None:
            return known
        with self._lock:
            if config.name not in self._queues:
                self._queues[config.name] = self._connect(config)
            return self._queues[config.name]

    def workable(self, name: str | None = None) -> WorkableQueue:
        """Return a connection that a worker can serve; raises `UnsupportedByDriver`."""
        queue = self.connection(name)
        if not hasattr(queue, "consumer"):
            raise UnsupportedByDriver("queue work", queue.name, queue.config.driver, "a worker")
        return cast("WorkableQueue", queue)

    @property
    def failed(self) -> FailedJobs:
        """The failed store, made at its first use."""
        if self._failed is None:
            self._failed = self._make_failed()
        return self._failed

    @property
    def batches(self) -> DatabaseBatches | None:
        """The store of all batches, made at its first use; None: they are with their jobs."""
        if self._batches is None and self._batch_settings["driver"] == "database":
            settings = {"clock": self.clock, **self._batch_settings}
            del settings["driver"]
            self._batches = cast(
                "DatabaseBatches", _made(DATABASE_BATCHES, "store of batches", settings)
            )
        return self._batches

    def close(self) -> None:
        """Close all connections; the next use makes new ones. For the child after a fork too."""
        with self._lock:
            queues, self._queues = self._queues, {}
        for queue in queues.values():
            queue.close()
        if self.dispatcher is not None:
            self.dispatcher = None

    # ---- running ----

    def scope(self, context: Mapping[str, str]) -> AbstractContextManager[Any]:
        """Return what must surround the restoring and running of a job with this context."""
        return nullcontext() if self._scope is None else self._scope(context)

    def gives_up(self, error: BaseException) -> bool:
        """Tell whether a job that raised this is failed at once, whatever tries it has left."""
        if is_beyond_retry(error):
            return True
        if isinstance(self._dont_retry, tuple):
            return isinstance(error, self._dont_retry)
        try:
            return bool(self._dont_retry(error))
        except Exception:
            log.exception("dont_retry could not tell what to do about %r", error)
            return False

    def run_inline(
        self,
        connection: str,
        message: Message,
        *,
        about: str = "",
        starts: Callable[[], object] | None = None,
    ) -> End:
        """Run a job here and now and return how it ended; raises nothing that the job raised."""
        return _inline_runner(self, connection, message, about=about, starts=starts)

    # ---- checks ----

    def check(self) -> None:
        """Raise `ConfigurationError` about all connections where jobs would not be safe.

        Asks every broker, and holds the timeouts of all registered jobs against `retry_after`.
        """
        problems: list[str] = []
        for name in self.configs:
            try:
                self.connection(name).check()
            except OnQueueError as error:
                problems.append(str(error))
        problems += [problem for _, job in registered() for problem in self._job_problems(job)]
        if problems:
            subject = "The queues"
            raise ConfigurationError(subject, problems)

    def check_timeout(self, connection: str, subject: str, timeout: float) -> None:
        """Raise `RetryAfterTooShort` when a job could be handed out again while it runs."""
        queue = self.connection(connection)
        is_safe = "leases" in queue.supports or "runs-inline" in queue.supports
        if not is_safe and timeout >= queue.config.retry_after:
            raise RetryAfterTooShort(connection, queue.config.retry_after, subject, timeout)

    def _job_problems(self, job: type[Job]) -> list[str]:
        connection = getattr(job, "connection", self.default)
        timeout = getattr(job, "timeout", 0)
        if callable(connection) or callable(timeout):
            return []
        try:
            self.check_timeout(connection, f"job {job.__qualname__!r}", seconds(timeout))
        except UnknownConnection as error:
            return [f"Job {job.__qualname__!r}: {error}"]
        except OnQueueError as error:
            return [str(error)]
        return []

    # ---- making ----

    def _check_names(self) -> None:
        problems = [
            f"{config.name!r}: unknown driver {config.driver!r}{nearest(config.driver, DRIVERS)} "
            f"(known: {', '.join(DRIVERS)}, or a place 'module:name')"
            for config in self.configs.values()
            if config.driver not in DRIVERS and ":" not in config.driver
        ]
        settings = self._failed_settings
        store = settings.get("driver") if isinstance(settings, Mapping) else ":"
        if not isinstance(store, str) or (store not in FAILED_STORES and ":" not in store):
            known = ", ".join(FAILED_STORES)
            problems.append(f"the failed store: unknown driver {store!r} (known: {known})")
        kept = self._batch_settings.get("driver")
        if kept not in {"connection", "database"}:
            problems.append(f"batches: unknown driver {kept!r} (known: connection, database)")
        if problems:
            subject = "The configuration of queues"
            raise ConfigurationError(subject, problems)

    def _connect(self, config: ConnectionConfig) -> Queue:
        make = _load(DRIVERS.get(config.driver, config.driver))
        if getattr(make, "runs_inline", False):
            return cast("Queue", make(config, run=self.run_inline, clock=self.clock))
        return cast("Queue", make(config, clock=self.clock))

    def _make_failed(self) -> FailedJobs:
        if not isinstance(self._failed_settings, Mapping):
            return self._failed_settings
        settings = dict(self._failed_settings)
        driver = settings.pop("driver")
        place = FAILED_STORES.get(driver, driver)
        return cast("FailedJobs", _made(place, f"failed store {driver!r}", settings))


def _made(place: str, what: str, settings: Mapping[str, Any]) -> object:
    """Return what the place makes of the settings; raises `ConfigurationError`."""
    make = _load(place)
    try:
        inspect.signature(make).bind(**settings)
    except TypeError as error:
        raise ConfigurationError(f"The {what}", [str(error)]) from error
    return make(**settings)


_current: QueueManager | None = None


def use(manager: QueueManager | None) -> None:
    """Say what `job.dispatch()` uses in this process; None: nothing any more."""
    global _current  # noqa: PLW0603 - one per process is what `use` is about
    _current = manager


@contextmanager
def using(manager: QueueManager) -> Iterator[QueueManager]:
    """Use a manager for the length of a block, then again what was used before."""
    before = _current
    use(manager)
    try:
        yield manager
    finally:
        use(before)


def current_manager() -> QueueManager:
    """Return what `use` set; raises `NoCurrentManager`."""
    if _current is None:
        raise NoCurrentManager
    return _current


def _load(place: str) -> Callable[..., object]:
    module, _, name = place.partition(":")
    try:
        return cast("Callable[..., object]", getattr(importlib.import_module(module), name))
    except (ImportError, AttributeError) as error:
        subject = f"The driver {place!r}"
        raise ConfigurationError(subject, [f"{error} (is its extra installed?)"]) from error
