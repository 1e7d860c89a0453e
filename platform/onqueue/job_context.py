"""What a running job may ask and order: the worker binds one context to each run."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from onqueue.coroutines import run_to_end
from onqueue.errors import LeaseLost, NotRunning

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    import svcs

    from onqueue.checkpoint import Checkpoint
    from onqueue.contracts import Checkpoints, Clock, Locks
    from onqueue.job import Surroundings
    from onqueue.keyring import Keyring
    from onqueue.plans import ChainEdit, Tie
    from onqueue.quotas import Limits, Quota

    Drive = Callable[[Callable[[], Awaitable[Any]]], Any]

T = TypeVar("T")

OrderKind = Literal["release", "snooze", "fail", "delete", "park", "skip", "cancel"]


@dataclass(slots=True, frozen=True)
class Order:
    """How the job (or a middleware) wants its run to end; `delay` is seconds.

    A release with an `error` is one after an exception: when no attempt is left, the job fails with
    it. Parked is for a lock, or for quotas.
    """

    kind: OrderKind
    delay: float = 0.0
    error: BaseException | None = None
    lock: str = ""
    quotas: tuple[Quota, ...] = ()


class Lifeline(Protocol):
    """What a worker process knows about itself; one serves all of its runs."""

    @property
    def holder(self) -> str:
        """The identity under which the job is held."""
        ...

    def holds_lease(self) -> bool:
        """Tell whether the lease can still be vouched for."""
        ...

    def should_stop(self) -> bool:
        """Tell whether the worker has been asked to end."""
        ...


class JobContext:
    """One run of one job. Of several orders the first one wins."""

    __slots__ = (
        "_lifeline",
        "_services",
        "about",
        "attempts",
        "checkpoint",
        "checkpoints",
        "clock",
        "connection",
        "container",
        "context",
        "drive",
        "edit",
        "has_awaited",
        "has_cancelled",
        "has_heard",
        "is_cancelled",
        "job_id",
        "keys",
        "limits",
        "locks",
        "order",
        "queue",
        "surroundings",
        "tie",
    )

    def __init__(
        self,
        *,
        job_id: str,
        attempts: int,
        connection: str,
        queue: str,
        context: Mapping[str, str],
        lifeline: Lifeline,
        locks: Locks | None = None,
        services: svcs.Registry | None = None,
        keys: Keyring | None = None,
        limits: Limits | None = None,
        checkpoints: Checkpoints | None = None,
        clock: Clock | None = None,
        drive: Drive = run_to_end,
    ) -> None:
        """Keep what the run is about; `attempts` is 1-based and includes this run.

        `drive` runs a coroutine to its end.
        """
        self.job_id = job_id
        self.attempts = attempts
        self.connection = connection
        self.queue = queue
        self.context = context
        self.locks = locks
        self.keys = keys
        self.limits = limits
        self.checkpoints = checkpoints
        self.clock = clock
        self.drive = drive
        self.has_awaited = False
        """Whether services of the run may want to be ended on an event loop."""
        self.checkpoint: Checkpoint | None = None
        """The notes of the run, once the job has asked for them."""
        self.tie: Tie | None = None
        """The chain and the batch the job belongs to, if any."""
        self.about = ""
        """Whom a callback is about: the job or the batch whose end it follows."""
        self.has_cancelled = False
        """Whether the run cancelled a batch: what was reserved before must be looked at anew."""
        self.edit: ChainEdit | None = None
        """What the run adds to its chain, should it end well."""
        self.is_cancelled: Callable[[], bool] | None = None
        """Tells whether somebody wants this run to end; None where nobody can."""
        self.surroundings: Surroundings | None = None
        """What the run reaches of its chain and batch, where a test stands in for these."""
        self.has_heard = False
        """Whether the job has learned that it was cancelled."""
        self.order: Order | None = None
        self.container: svcs.Container | None = None
        self._lifeline = lifeline
        self._services = services

    @property
    def cancelled(self) -> bool:
        """Whether somebody wants this run to end."""
        if self.is_cancelled is not None and self.is_cancelled():
            self.has_heard = True
        return self.has_heard

    @property
    def holder(self) -> str:
        """The identity under which the job is held."""
        return self._lifeline.holder

    @property
    def holds_lease(self) -> bool:
        """Whether the lease can still be vouched for."""
        return self._lifeline.holds_lease()

    @property
    def should_stop(self) -> bool:
        """Whether the worker has been asked to end."""
        return self._lifeline.should_stop()

    def ensure_lease(self) -> None:
        """Raise `LeaseLost` when the lease can no longer be vouched for."""
        if not self._lifeline.holds_lease():
            raise LeaseLost(self._lifeline.holder, self.job_id)

    def give(self, order: Order) -> None:
        """Set how the run ends, unless that is settled already."""
        if self.order is None:
            self.order = order

    def service(self, service_type: type[T]) -> T:
        """Return the run's instance of a service; raises svcs' error when it is unknown."""
        return self.services().get(service_type)

    def services(self) -> svcs.Container:
        """Return the run's container, made at its first use."""
        if self.container is None:
            import svcs

            registry = self._services if self._services is not None else svcs.Registry()
            self.container = svcs.Container(registry)
        return self.container

    def close(self) -> None:
        """End the services of the run, in reverse order of their making."""
        container, self.container = self.container, None
        if container is None:
            return
        if self.has_awaited:
            self.drive(container.aclose)
        else:
            container.close()


running: ContextVar[JobContext | None] = ContextVar("onqueue.running", default=None)
"""The run that this thread or task is in; whoever runs jobs sets it."""


def current_run(what: str) -> JobContext:
    """Return the run this code is in; raises `NotRunning`, naming what needs one."""
    context = running.get()
    if context is None:
        raise NotRunning("", what)
    return context
