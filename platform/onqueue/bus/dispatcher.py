"""The one way in: every job passes here before a driver, the outbox or an inline run gets it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from os import urandom
from typing import TYPE_CHECKING, Any, cast

from onqueue import events
from onqueue.bus.unique import claim_of
from onqueue.connections import QueueManager, current_manager
from onqueue.contracts import ONCE_WINDOW, Message, OutboxRecord
from onqueue.errors import BrokerError, ConfigurationError, UnsupportedByDriver
from onqueue.job import Dispatching, install_dispatching
from onqueue.options import seconds
from onqueue.payload import Plan, option, plan_of
from onqueue.plans import Tie
from onqueue.pushing import conflicts, push_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from onqueue.contracts import JobId, Queue, Transaction
    from onqueue.job import Job

log = logging.getLogger("onqueue.bus")

CHUNK = 1000
"""Jobs a round trip of `dispatch_many`."""

_DISPATCH_SIDE = ("connection", "queue", "default_delay", "wait_for_commit", "durable", "unique")


@dataclass(slots=True)
class Route:
    """Where the plain jobs of a class go; `is_simple` when nothing but a push is asked for."""

    target: Queue
    queue: str
    limit: int
    is_simple: bool


@dataclass(slots=True, eq=False)
class Admission:
    """A job that may go, and how; `owner` is the job that has its unique lock, if it lost."""

    job: Job
    target: Queue
    message: Message
    due: float
    waits: bool
    is_durable: bool
    tenant: str | None
    owner: JobId = ""

    @property
    def standing(self) -> JobId:
        """The id under which the job is known: its own unless another one has its lock."""
        return self.owner or self.message.id

    def record(self) -> OutboxRecord:
        """Return what the outbox writes."""
        name = self.job.name
        return OutboxRecord(self.message, self.target.name, name, self.tenant, self.is_durable)


class Dispatcher:
    """Puts jobs on the queues of one manager."""

    def __init__(self, manager: QueueManager) -> None:
        """Dispatch by the manager's settings."""
        self._manager = manager
        self._time = manager.clock.time
        self._context = manager.context
        self._routes: dict[Plan, Route] = {}

    def dispatch(self, job: Job) -> JobId:
        """Put one job on its queue and return its id, or that of the job that has its unique lock.

        Raises `PayloadError` for what cannot travel, `BrokerError` when the broker did not take
        the job and no outbox may, `ConfigurationError` and its like for what cannot be.
        """
        plan = plan_of(type(job))
        route = self._routes.get(plan) or self._route(plan, type(job))
        if route.is_simple and plan.is_plain(job) and not _has_listeners():
            message = self._message(plan, route, job)
            route.target.push(message)
            return message.id
        admission = self._admit(job)
        self._send([admission])
        return admission.standing

    def dispatch_many(self, jobs: Iterable[Job]) -> list[JobId]:
        """Put many jobs on their queues, a thousand a round trip, and return their ids in order.

        An error names in a note how many were taken before it.
        """
        ids: list[JobId] = []
        for chunk in _chunks(jobs):
            try:
                ids += self._dispatch_chunk(chunk)
            except Exception as error:
                error.add_note(f"{len(ids)} jobs before this chunk of {len(chunk)} were taken")
                raise
        return ids

    def dispatch_sync(self, job: Job) -> JobId:
        """Run the job here and now, whatever its connection; raises what it raises."""
        admission = self._admit(job)
        self._manager.run_inline(admission.target.name, admission.message)
        return admission.message.id

    # ---- the short way ----

    def _message(self, plan: Plan, route: Route, job: Job) -> Message:
        context = self._context() if self._context is not None else None
        payload = plan.encode(job, self._time(), context, route.limit)
        return Message(urandom(16).hex(), route.queue, payload)

    def _dispatch_chunk(self, jobs: list[Job]) -> list[JobId]:
        ids: list[JobId] = []
        plain: dict[str, list[Message]] = {}
        rest: list[Admission] = []
        is_quiet = not _has_listeners()
        for job in jobs:
            plan = plan_of(type(job))
            route = self._routes.get(plan) or self._route(plan, type(job))
            if is_quiet and route.is_simple and plan.is_plain(job):
                message = self._message(plan, route, job)
                plain.setdefault(route.target.name, []).append(message)
            else:
                admission = self._admit(job)
                rest.append(admission)
                message = admission.message
            ids.append(message.id)
        for name, messages in plain.items():
            self._manager.connection(name).push_many(messages)
        if rest:
            self._send(rest)
        standing = {one.message.id: one.owner for one in rest if one.owner}
        return [standing.get(job_id, job_id) for job_id in ids] if standing else ids

    def _route(self, plan: Plan, job_class: type[Job]) -> Route:
        values = {name: getattr(job_class, name, None) for name in _DISPATCH_SIDE}
        values["timeout"] = getattr(job_class, "timeout", None)
        if any(map(callable, values.values())):
            target = self._manager.connection()
            return Route(target, target.config.queue, target.config.max_payload, is_simple=False)
        target = self._manager.connection(values["connection"])
        config = target.config
        if values["timeout"]:
            subject = f"job {job_class.__qualname__!r}"
            self._manager.check_timeout(config.name, subject, seconds(values["timeout"]))
        waits = values["wait_for_commit"]
        waits = config.after_commit if waits is None else waits
        special = ("durable", "default_delay", "unique")
        is_simple = not (waits or any(values[name] for name in special))
        route = Route(target, values["queue"] or config.queue, config.max_payload, is_simple)
        self._routes[plan] = route
        return route

    # ---- the long way ----

    def _admit(self, job: Job) -> Admission:
        plan = plan_of(type(job))
        target = self._manager.connection(option(job, "connection"))
        config = target.config
        now = self._time()
        delay = delay_of(job, now)
        is_durable = bool(option(job, "durable")) and _needs(job, target, "knows", "durability")
        if delay > 0:
            _needs(job, target, "delay", "a delay")
        timeout = option(job, "timeout")
        if timeout:
            subject = f"job {type(job).__qualname__!r}"
            self._manager.check_timeout(config.name, subject, seconds(timeout))
        context = self._context() if self._context is not None else {}
        tie = _tie_of(job, target)
        payload = plan.encode(job, now, context, config.max_payload, tie)
        queue = option(job, "queue") or config.queue
        waits = option(job, "wait_for_commit")
        return Admission(
            job=job,
            target=target,
            message=Message(urandom(16).hex(), queue, payload, delay, tie=tie),
            due=now + delay if delay else 0.0,
            waits=(config.after_commit or is_durable) if waits is None else waits,
            is_durable=is_durable,
            tenant=context.get("tenant"),
        )

    def _send(self, admissions: list[Admission]) -> None:
        """Tell of the jobs, then push them, hold them back or hand them to the outbox."""
        self._refuse_durable_without_outbox(admissions)
        if events.job_queueing.receivers:
            for admission in admissions:
                events.tell(events.job_queueing, _event(events.JobQueueing, admission))
        transaction = self._transaction(admissions)
        held = [one for one in admissions if transaction is not None and one.waits]
        now = [one for one in admissions if transaction is None or not one.waits]
        durable = [one for one in now if one.is_durable]
        direct = [one for one in now if not one.is_durable]
        if held and transaction is not None:
            self._hold(transaction, held)
        if durable:
            self._push_durable(durable)
        if direct:
            self._push_direct(direct)
        for error in conflicts([one.message for one in now], _owners(now)):
            raise error

    def _transaction(self, admissions: list[Admission]) -> Transaction | None:
        transactions = self._manager.transactions
        if transactions is None or not any(one.waits for one in admissions):
            return None
        return transactions.current()

    def _refuse_durable_without_outbox(self, admissions: list[Admission]) -> None:
        if self._manager.outbox is not None:
            return
        for admission in admissions:
            if admission.is_durable:
                subject = f"Job {type(admission.job).__qualname__!r}"
                problem = "it is durable, which needs an outbox: give one to the QueueManager"
                raise ConfigurationError(subject, [problem])

    def _hold(self, transaction: Transaction, admissions: list[Admission]) -> None:
        outbox = self._manager.outbox
        written: list[Admission] = []
        kept: list[Admission] = []
        for one in admissions:
            (written if outbox and "once" in one.target.supports else kept).append(one)
        if outbox is not None and written:
            outbox.add_many(transaction.connection, [one.record() for one in written])
            transaction.after_commit(lambda: self._push_from_outbox(written))
        if kept:
            # No outbox, or a driver that runs or drops its jobs: a relay could not push them once.
            transaction.after_commit(lambda: self._push(kept, once=0.0))

    def _push_durable(self, admissions: list[Admission]) -> None:
        if self._manager.outbox is not None:
            self._manager.outbox.add_many(None, [admission.record() for admission in admissions])
            self._push_from_outbox(admissions)

    def _push_from_outbox(self, admissions: list[Admission]) -> None:
        """Push what the outbox has already; a broker that is away is the relay's business."""
        outbox = self._manager.outbox
        for target in _targets(admissions):
            group = [one for one in admissions if one.target is target]
            try:
                self._push(group, once=ONCE_WINDOW)
            except BrokerError as error:
                log.warning("the outbox keeps %d jobs for the relay: %s", len(group), error)
            else:
                if outbox is not None:
                    outbox.mark_dispatched([one.message.id for one in group])

    def _push_direct(self, admissions: list[Admission]) -> None:
        for target in _targets(admissions):
            group = [one for one in admissions if one.target is target]
            try:
                self._push(group, once=ONCE_WINDOW if self._may_fall_back(group) else 0.0)
            except BrokerError as error:
                if not self._may_fall_back(group) or self._manager.outbox is None:
                    raise
                log.warning("the outbox takes %d jobs for the relay: %s", len(group), error)
                self._manager.outbox.add_many(None, [one.record() for one in group])

    def _may_fall_back(self, group: list[Admission]) -> bool:
        has_outbox = self._manager.outbox is not None
        return has_outbox and all(one.waits and "once" in one.target.supports for one in group)

    def _push(self, admissions: list[Admission], *, once: float) -> None:
        for target in _targets(admissions):
            group = [one for one in admissions if one.target is target]
            pushed = push_all(target, [self._timed(one, once) for one in group])
            for admission in group:
                admission.owner = pushed.owners.get(admission.message.id, "")
            if events.job_queued.receivers:
                for admission in group:
                    if not admission.owner:
                        events.tell(events.job_queued, _event(events.JobQueued, admission))

    def _timed(self, admission: Admission, once: float) -> Message:
        message = admission.message
        if not admission.due and not once:
            return message
        delay = max(0.0, admission.due - self._time()) if admission.due else 0.0
        return replace(message, delay=delay, once=once)


def dispatcher_of(manager: QueueManager) -> Dispatching:
    """Return the manager's dispatcher (or the fake that a test put in its place)."""
    if manager.dispatcher is None:
        manager.dispatcher = Dispatcher(manager)
    return manager.dispatcher


def current_dispatcher() -> Dispatching:
    """Return the dispatcher of the manager in use; raises `NoCurrentManager`."""
    return dispatcher_of(current_manager())


def dispatch(job: Job) -> JobId:
    """Put one job on its queue and return its id."""
    return current_dispatcher().dispatch(job)


def dispatch_many(jobs: Iterable[Job]) -> list[JobId]:
    """Put many jobs on their queues, a thousand a round trip; return their ids in order."""
    return current_dispatcher().dispatch_many(jobs)


def _has_listeners() -> bool:
    return bool(events.job_queueing.receivers or events.job_queued.receivers)


def _event(kind: type[events.JobQueueing], admission: Admission) -> events.JobQueueing:
    message = admission.message
    target = admission.target.name
    return kind(target, message.queue, message.id, admission.job, message.delay)


def delay_of(job: Job, now: float) -> float:
    """Return how long a job is to wait, in seconds from `now` (epoch seconds)."""
    own = job.__dict__.get("_delay")
    if isinstance(own, datetime):
        return max(0.0, own.timestamp() - now)
    if own is not None:
        return cast("float", own)
    default: Any = option(job, "default_delay")
    return seconds(default) if default else 0.0


def _needs(job: Job, target: Queue, capability: str, words: str) -> bool:
    """Tell whether the driver does it; False where jobs run at once or are thrown away."""
    if capability in target.supports:
        return True
    if target.supports & {"runs-inline", "discards"}:
        return False
    raise UnsupportedByDriver(type(job).__qualname__, target.name, target.config.driver, words)


def _tie_of(job: Job, target: Queue) -> Tie | None:
    """Return what hangs on the job besides its payload, None for a plain one."""
    claim = claim_of(job)
    if claim is None or not _needs(job, target, "unique", "a unique lock"):
        return None
    return Tie(claim=claim)


def _owners(admissions: list[Admission]) -> dict[JobId, JobId]:
    return {one.message.id: one.owner for one in admissions if one.owner}


def _targets(admissions: list[Admission]) -> list[Queue]:
    return list({id(one.target): one.target for one in admissions}.values())


def _chunks(jobs: Iterable[Job]) -> Iterator[list[Job]]:
    rest = iter(jobs)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


install_dispatching(current_dispatcher)
