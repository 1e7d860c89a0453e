"""The one way in: every job passes here before a driver, the outbox or an inline run gets it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from os import urandom
from typing import TYPE_CHECKING, Any

from onqueue.bus.admission import Admission, delay_of, has_listeners, needs, tie_of
from onqueue.bus.after_response import later
from onqueue.bus.home import ALONE, Home
from onqueue.bus.planning import listed
from onqueue.bus.sending import Sender
from onqueue.bus.starting import Starter
from onqueue.connections import QueueManager, current_manager
from onqueue.contracts import Message
from onqueue.errors import ConfigurationError
from onqueue.job import Dispatching, install_dispatching
from onqueue.options import seconds
from onqueue.payload import Plan, option, plan_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from onqueue.bus.planning import BatchSketch, ChainSketch
    from onqueue.contracts import JobId, Queue
    from onqueue.job import Job
    from onqueue.plans import BatchState, ChainId

CHUNK = 1000
"""Jobs a round trip of `dispatch_many`."""

_SPECIAL = ("default_delay", "durable", "unique", "fair_key")
_DISPATCH_SIDE = ("connection", "queue", "wait_for_commit", *_SPECIAL)


@dataclass(slots=True)
class Route:
    """Where the plain jobs of a class go; `is_simple` when nothing but a push is asked for."""

    target: Queue
    queue: str
    limit: int
    is_simple: bool


class Dispatcher:
    """Puts jobs on the queues of one manager."""

    def __init__(self, manager: QueueManager, inherited: Mapping[str, str] | None = None) -> None:
        """Dispatch by the manager's settings.

        What is `inherited` travels with jobs, too, where the manager's context says nothing of it.
        """
        self._manager = manager
        self._time = manager.clock.time
        self._context = inheriting(manager.context, inherited)
        self._keys = manager.keys
        self._sender = Sender(manager)
        self._starter = Starter(manager, self, self._sender)
        self._routes: dict[Plan, Route] = {}

    def dispatch(self, job: Job) -> JobId:
        """Put one job on its queue and return its id, or that of the job that has its unique lock.

        Raises `PayloadError` for what cannot travel, `BrokerError` when the broker did not take
        the job and no outbox may, `ConfigurationError` and its like for what cannot be.
        """
        plan = plan_of(type(job))
        route = self._routes.get(plan) or self._route(plan, type(job))
        if route.is_simple and plan.is_plain(job) and not has_listeners():
            message = self._message(plan, route, job)
            route.target.push(message)
            return message.id
        admission = self._admit(job)
        self._sender.send([admission])
        return admission.standing

    def dispatch_many(self, jobs: Iterable[Job]) -> list[JobId]:
        """Put many jobs on their queues, a thousand a round trip, and return their ids in order.

        An error names in a note how many were taken before it. A unique job that wants to hear
        that it lost (`unique_on_conflict = "raise"`) does not hold up its chunk: the others of
        the thousand are dispatched first, then its error is raised, and later chunks are not.
        """
        ids: list[JobId] = []
        for chunk in _chunks(listed("dispatch_many", jobs)):
            try:
                ids += self._dispatch_chunk(chunk)
            except Exception as error:
                error.add_note(f"{len(ids)} jobs before this chunk of {len(chunk)} were taken")
                raise
        return ids

    def dispatch_sync(self, job: Job) -> JobId:
        """Run the job here and now, whatever its connection; raises what it raises."""
        admission = self._admit(job)
        self._run(admission)
        return admission.message.id

    def dispatch_after_response(self, job: Job) -> JobId:
        """Run the job in this process when the response of the present request was sent.

        Outside of a request it runs at once, and what it raises is raised.
        """
        admission = self._admit(job)
        kept = later()
        if kept is None:
            self._run(admission)
        else:
            kept.add(job.name, lambda: self._run(admission))
        return admission.message.id

    def _run(self, admission: Admission) -> None:
        end = self._manager.run_inline(admission.target.name, admission.message)
        if end.raised is not None:
            raise end.raised

    # ---- chains and batches ----

    def dispatch_chain(self, sketch: ChainSketch) -> ChainId:
        """Start a chain and return its id; raises what the dispatch of a link raises."""
        with self._planned("chain", sketch.name):
            return self._starter.chain(sketch)

    def dispatch_chain_sync(self, sketch: ChainSketch) -> ChainId:
        """Run a chain here and now, whatever its connections; raises what broke it."""
        return self._starter.chain_sync(sketch)

    def dispatch_batch(self, sketch: BatchSketch) -> tuple[str, BatchState]:
        """Start a batch, all or nothing; return its connection and how it stands."""
        with self._planned("batch", sketch.name):
            return self._starter.batch(sketch)

    def add_to_batch(
        self, connection: str, state: BatchState, members: Sequence[Job | ChainSketch]
    ) -> int:
        """Add members to a batch and return how many jobs; raises `BatchFinished`."""
        return self._starter.add(connection, state, members)

    def _planned(self, kind: str, name: str) -> AbstractContextManager[Any]:
        tracer = self._manager.tracer
        return nullcontext() if tracer is None else tracer.planning(kind, name)

    # ---- the short way ----

    def _message(self, plan: Plan, route: Route, job: Job) -> Message:
        context = self._context() if self._context is not None else None
        payload = plan.encode(job, self._time(), context, route.limit, None, self._keys)
        return Message(urandom(16).hex(), route.queue, payload)

    def _dispatch_chunk(self, jobs: list[Job]) -> list[JobId]:
        ids: list[JobId] = []
        plain: dict[str, list[Message]] = {}
        rest: list[Admission] = []
        is_quiet = not has_listeners()
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
            self._sender.send(rest)
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
        is_traced = self._manager.tracer is not None
        is_simple = not (waits or is_traced or any(values[name] for name in _SPECIAL))
        route = Route(target, values["queue"] or config.queue, config.max_payload, is_simple)
        self._routes[plan] = route
        return route

    # ---- the long way ----

    def prepare(self, job: Job, home: Home) -> Admission:
        """Return a job of a chain or a batch, checked and encoded; it is sent nowhere yet."""
        if option(job, "durable"):
            subject = f"Job {type(job).__qualname__!r}"
            problem = (
                "it is durable, which links of chains and members of batches cannot be: let the "
                "job before it dispatch it, in the transaction that writes down what that job did"
            )
            raise ConfigurationError(subject, [problem])
        return self._admit(job, home)

    def about(self) -> Mapping[str, str]:
        """Return the context that travels with what is dispatched here and now."""
        return self._context() if self._context is not None else {}

    def _admit(self, job: Job, home: Home = ALONE) -> Admission:
        plan = plan_of(type(job))
        target = self._manager.connection(home.connection_of(job))
        config = target.config
        now = self._time()
        delay = delay_of(job, now)
        is_durable = bool(option(job, "durable")) and needs(job, target, "knows", "durability")
        if delay > 0:
            needs(job, target, "delay", "a delay")
        timeout = option(job, "timeout")
        if timeout:
            subject = f"job {type(job).__qualname__!r}"
            self._manager.check_timeout(config.name, subject, seconds(timeout))
        context = self.about()
        if home.context:
            context = {**context, **home.context}
        job_id, queue = urandom(16).hex(), option(job, "queue") or home.queue or config.queue
        tracer = self._manager.tracer
        if tracer is not None:
            context = {**context, **tracer.dispatching(job.name, target.name, queue, job_id)}
        tie = tie_of(job, target, home, self._keys)
        payload = plan.encode(job, now, context, config.max_payload, tie, self._keys)
        queue = option(job, "queue") or home.queue or config.queue
        waits = option(job, "wait_for_commit")
        return Admission(
            job=job,
            target=target,
            message=Message(job_id, queue, payload, delay, tie=tie),
            due=now + delay if delay else 0.0,
            waits=(config.after_commit or is_durable) if waits is None else waits,
            is_durable=is_durable,
            tenant=context.get("tenant"),
        )


def inheriting(
    own: Callable[[], Mapping[str, str]] | None, inherited: Mapping[str, str] | None
) -> Callable[[], Mapping[str, str]] | None:
    """Return what tells the context of a dispatch, None when there is none."""
    if not inherited:
        return own
    return lambda: {**inherited, **(own() if own is not None else {})}


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


def _chunks(jobs: Iterable[Job]) -> Iterator[list[Job]]:
    rest = iter(jobs)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


install_dispatching(current_dispatcher)
