"""Starts chains and batches: now, after the commit, or by the outbox when the broker is away."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from os import urandom
from typing import TYPE_CHECKING, Any, cast

from onqueue import events
from onqueue.bus.admission import Admission, event_of
from onqueue.bus.announcing import Announce
from onqueue.bus.carrying import Carrier
from onqueue.bus.home import Home
from onqueue.bus.plan_codec import plan_from, plan_parts
from onqueue.bus.planning import (
    LENT_QUEUE,
    BatchSketch,
    ChainSketch,
    Planner,
    settle_connections,
)
from onqueue.bus.stores import store_of
from onqueue.connections import current_manager
from onqueue.contracts import Message
from onqueue.drivers.sync import InlinePlans
from onqueue.errors import BatchFinished, BrokerError, UnsupportedByDriver
from onqueue.job import Job
from onqueue.payload import plan_of
from onqueue.plans import BatchPlan, BatchState, ChainPlan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onqueue.bus.planning import Prepares
    from onqueue.bus.sending import Sender
    from onqueue.connections import QueueManager
    from onqueue.contracts import ChainingQueue, Queue
    from onqueue.plans import ChainId

log = logging.getLogger("onqueue.bus")

NO_LIMIT = 2**40
"""Bytes of a payload that holds a whole plan: its jobs were held to the limit one by one."""


class StartPlan(Job):
    """Starts a chain or a batch that was dispatched in a transaction, or while its broker was away.

    Starting twice changes nothing, so neither does running this twice.
    """

    name = "onqueue.StartPlan"
    tries = 0
    backoff = (1, 5, 30)
    parts: dict[str, Any]

    def handle(self) -> None:
        """Start it on the connection this job came on."""
        begin(current_manager(), self.running().connection, plan_from(self.parts))


@dataclass(slots=True)
class Start:
    """A plan that is to be started, and the jobs that begin with it."""

    target: Queue
    plan: ChainPlan | BatchPlan
    jobs: list[Admission]
    waits: bool


class Starter:
    """Starts what its manager's dispatcher prepares."""

    def __init__(self, manager: QueueManager, dispatcher: Prepares, sender: Sender) -> None:
        """Plan with the dispatcher; the sender knows transactions and the outbox."""
        self._manager = manager
        self._dispatcher = dispatcher
        self._sender = sender

    def chain(self, sketch: ChainSketch) -> ChainId:
        """Start a chain and return its id."""
        start = self.plan_chain(sketch)
        self._start(start)
        return start.plan.id

    def plan_chain(self, sketch: ChainSketch) -> Start:
        """Return what would be started; raises what a dispatch of the chain raises."""
        planner = self._planner()
        plan = planner.chain(sketch)
        target = self._manager.connection(_home_of(plan, planner))
        _need(target, "chains", "chain", "links that wait for each other")
        if any(isinstance(link, BatchPlan) for link in plan.links):
            _need(target, "batches", "chain", "a batch among its links")
        waits = _waits(sketch, planner.started)
        return Start(target, settle_connections(plan, planner.homes), planner.started, waits)

    def chain_sync(self, sketch: ChainSketch) -> ChainId:
        """Run a chain here and now, its batches too; raises what the first bad link raises."""
        planner = self._planner()
        plan = planner.chain(sketch)
        home = _home_of(plan, planner)
        runner = InlinePlans(home, self._manager.run_inline, self._manager.clock, everywhere=True)
        runner.start_chain(plan)
        return plan.id

    def batch(self, sketch: BatchSketch) -> tuple[str, BatchState]:
        """Start a batch; return its connection and how it stands."""
        planner = self._planner()
        plan = planner.batch(_announced(sketch))
        target = self._manager.connection(planner.homes[plan.id])
        if "discards" not in target.supports:
            store_of(self._manager, target.name)
        waits = _waits(sketch, planner.started)
        is_held = self._start(Start(target, plan, planner.started, waits))
        state = _first_state(plan)
        is_over = not state.total or "runs-inline" in target.supports
        if is_over and not is_held and "discards" not in target.supports:
            state = store_of(self._manager, target.name, plan.id).batch(plan.id) or state
        return target.name, state

    def plan_batch(self, sketch: BatchSketch) -> tuple[str, BatchState]:
        """Return where a batch would begin and how; raises what its dispatch raises."""
        planner = self._planner()
        plan = planner.batch(sketch)
        return planner.homes[plan.id], _first_state(plan)

    def add(self, connection: str, state: BatchState, members: Sequence[Job | ChainSketch]) -> int:
        """Add members to a batch and return how many jobs; raises `BatchFinished`."""
        planner = self._planner()
        queue = state.context.get(LENT_QUEUE, "")
        home = Home(connection=connection, queue=queue, batch=state.id, binds=True)
        made = planner.members(members, home)
        if not made:
            return 0
        _tell_queueing(planner.started)
        count = store_of(self._manager, connection, state.id).add_to_batch(state.id, made)
        if not count:
            raise BatchFinished(state.id)
        _tell_queued(planner.started)
        return count

    # ---- parts ----

    def _planner(self) -> Planner:
        manager = self._manager
        context = manager.context() if manager.context is not None else {}
        return Planner(self._dispatcher, manager.default, manager.clock.now(), context)

    def _start(self, start: Start) -> bool:
        """Start the plan, or hold it back; return whether it is held."""
        _tell_queueing(start.jobs)
        transactions = self._manager.transactions
        transaction = transactions.current() if start.waits and transactions is not None else None
        outbox = self._manager.outbox
        can_wait = outbox is not None and start.waits and "once" in start.target.supports
        if transaction is not None:
            if outbox is not None and can_wait:
                admission = self._starter(start)
                outbox.add_many(transaction.connection, [admission.record()])
                transaction.after_commit(lambda: self._sender.push_from_outbox([admission]))
            else:
                transaction.after_commit(lambda: self._begin(start))
            return True
        try:
            self._begin(start)
        except BrokerError as error:
            if outbox is None or not can_wait:
                raise
            log.warning("the outbox takes plan %s for the relay: %s", start.plan.id, error)
            outbox.add_many(None, [self._starter(start).record()])
            return True
        return False

    def _begin(self, start: Start) -> None:
        begin(self._manager, start.target.name, start.plan)
        _tell_queued(start.jobs)

    def _starter(self, start: Start) -> Admission:
        """Return the job that will start the plan; the outbox makes sure that it does so once."""
        job = StartPlan(plan_parts(start.plan))
        manager = self._manager
        context = manager.context() if manager.context is not None else {}
        payload = plan_of(StartPlan).encode(
            job, manager.clock.time(), context, NO_LIMIT, None, manager.keys
        )
        queue = start.jobs[0].message.queue if start.jobs else start.target.config.queue
        message = Message(urandom(16).hex(), queue, payload)
        return Admission(
            job=job,
            target=start.target,
            message=message,
            due=0.0,
            waits=True,
            is_durable=False,
            tenant=context.get("tenant"),
        )


def begin(manager: QueueManager, connection: str, plan: ChainPlan | BatchPlan) -> None:
    """Start a plan on a connection, once; tells `batch_dispatched`."""
    target = manager.connection(connection)
    if "discards" in target.supports:
        return
    try:
        _begin(manager, target, plan)
    finally:
        if "runs-inline" in target.supports:
            # No worker will come by that could take along what belongs elsewhere.
            Carrier(manager, connection).carry()


def _begin(manager: QueueManager, target: Queue, plan: ChainPlan | BatchPlan) -> None:
    if isinstance(plan, ChainPlan):
        cast("ChainingQueue", target).start_chain(plan)
        return
    connection = target.name
    is_new = store_of(manager, connection).start_batch(plan)
    if is_new and events.batch_dispatched.receivers:
        total = _first_state(plan).total
        event = events.BatchDispatched(connection, plan.id, plan.name, total)
        events.tell(events.batch_dispatched, event)


def _home_of(plan: ChainPlan, planner: Planner) -> str:
    """Return the connection of the first link: that is where the chain begins to live."""
    first = plan.links[0]
    return planner.homes[first.id] if isinstance(first, BatchPlan) else first.connection


def _announced(sketch: BatchSketch) -> BatchSketch:
    """Let somebody's wish to hear of the end be served by whoever ends the batch."""
    if events.batch_finished.receivers:
        sketch.callbacks.setdefault("finally", []).append(Announce("finished"))
    if events.batch_cancelled.receivers and not sketch.allow_failures:
        sketch.callbacks.setdefault("catch", []).append(Announce("cancelled"))
    return sketch


def _first_state(plan: BatchPlan) -> BatchState:
    total = sum(len(one.links) if isinstance(one, ChainPlan) else 1 for one in plan.members)
    return BatchState(
        id=plan.id,
        name=plan.name,
        total=total,
        pending=total,
        succeeded=0,
        failed=0,
        skipped=0,
        cancelled=0,
        broken=0,
        allow_failures=plan.allow_failures,
        created_at=plan.created_at,
        context=plan.context,
    )


def _need(target: Queue, capability: str, what: str, words: str) -> None:
    if capability not in target.supports and "discards" not in target.supports:
        raise UnsupportedByDriver(what, target.name, target.config.driver, words)


def _waits(sketch: ChainSketch | BatchSketch, jobs: list[Admission]) -> bool:
    return any(job.waits for job in jobs) if sketch.waits is None else sketch.waits


def _tell_queueing(jobs: list[Admission]) -> None:
    if events.job_queueing.receivers:
        for job in jobs:
            events.tell(events.job_queueing, event_of(events.JobQueueing, job))


def _tell_queued(jobs: list[Admission]) -> None:
    if events.job_queued.receivers:
        for job in jobs:
            events.tell(events.job_queued, event_of(events.JobQueued, job))
