"""From what an author wrote, chains and batches of jobs, to the plans that a driver starts."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from os import urandom
from typing import TYPE_CHECKING, Any, Protocol

from onqueue.bus.announcing import BATCH, CHAIN, HOME
from onqueue.bus.home import Home
from onqueue.errors import ConfigurationError, NotBatchable, OnQueueError
from onqueue.job import Job
from onqueue.payload import option
from onqueue.plans import BatchPlan, ChainPlan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from onqueue.bus.admission import Admission
    from onqueue.contracts import Message
    from onqueue.plans import BatchId, CallbackKind, ChainId, OnSkip

LENT_QUEUE = "onqueue.queue"
"""Where a batch's context keeps the queue it lends to members that are added later."""


@dataclass(slots=True)
class ChainSketch:
    """A chain before its jobs are encoded."""

    links: list[Job | BatchSketch]
    catch: list[Job] = field(default_factory=list)
    connection: str = ""
    queue: str = ""
    name: str = ""
    on_skip: OnSkip = "continue"
    waits: bool | None = None


@dataclass(slots=True)
class BatchSketch:
    """A batch before its jobs are encoded."""

    members: list[Job | ChainSketch]
    callbacks: dict[CallbackKind, list[Job]] = field(default_factory=dict)
    connection: str = ""
    queue: str = ""
    name: str = ""
    allow_failures: bool = False
    waits: bool | None = None


class Prepares(Protocol):
    """What a dispatcher is to a planner."""

    def prepare(self, job: Job, home: Home) -> Admission:
        """Return the job, checked and encoded."""
        ...


class Planner:
    """Makes plans.

    `started` are the jobs that go to their queues with the start of the plan, `homes` the
    connections of its batches.
    """

    def __init__(
        self, dispatcher: Prepares, default: str, now: datetime, context: Mapping[str, str]
    ) -> None:
        """Know the default connection, the instant and what travels with each payload."""
        self.started: list[Admission] = []
        self.homes: dict[BatchId, str] = {}
        self._dispatcher = dispatcher
        self._default = default
        self._now = now
        self._context = context

    # ---- chains ----

    def chain(self, sketch: ChainSketch) -> ChainPlan:
        """Return the plan; raises what the dispatch of a link raises, with the link's place."""
        home = Home(connection=sketch.connection, queue=sketch.queue)
        plan = self._chain(sketch, home, "the chain")
        place = replace(home, queue=sketch.queue or queue_of(plan.links))
        return replace(plan, catch=self._callbacks(sketch.catch, place, chain=plan.id))

    def links(
        self, links: Sequence[Job | BatchSketch], home: Home, what: str = "the chain"
    ) -> list[Message | BatchPlan]:
        """Return what is to be linked, each for the connection that is its own."""
        made: list[Message | BatchPlan] = []
        here = home.connection if home.binds else ""
        for number, link in enumerate(links, 1):
            place = f"link {number} of {what}"
            if isinstance(link, BatchSketch):
                with placed(place):
                    plan = self._inner_batch(link, home, here, is_first=not made)
                here = self.homes[plan.id]
                # Without a name it would follow the chain, or be left behind when that moves on.
                made.append(plan if home.binds else replace(plan, connection=here))
                continue
            with placed(f"{place}, job {link.name!r}"):
                admission = self._dispatcher.prepare(link, home)
            message = admission.message
            here = admission.target.name
            if not home.binds:
                message.connection = here
            if not made:
                self.started.append(admission)
            made.append(message)
        return made

    def _chain(self, sketch: ChainSketch, home: Home, what: str) -> ChainPlan:
        chain_id = new_id()
        links = self.links(sketch.links, replace(home, chain=chain_id), what)
        if not links:
            raise NotBatchable(f"There is no link in {what}: a chain needs one at least")
        return ChainPlan(chain_id, links, name=sketch.name, on_skip=sketch.on_skip)

    def _inner_batch(
        self, sketch: BatchSketch, home: Home, here: str, *, is_first: bool
    ) -> BatchPlan:
        """Plan a batch that is a link; it runs where its chain is (`here`) when it comes to it."""
        if here and sketch.connection not in {"", here}:
            problem = (
                f"it is to run on {sketch.connection!r}, but its chain is on {here!r} by then: put "
                f"a job on {sketch.connection!r} before it"
            )
            raise ConfigurationError("A batch in a chain", [problem])
        connection = here or sketch.connection or home.connection
        lent = replace(sketch, connection=connection, queue=sketch.queue or home.queue)
        started = list(self.started)
        plan = self.batch(lent)
        if not is_first:
            self.started = started
        return plan

    # ---- batches ----

    def batch(self, sketch: BatchSketch) -> BatchPlan:
        """Return the plan; raises what the dispatch of a member raises, with its place."""
        batch_id = new_id()
        connection = sketch.connection or self._connection_of(sketch)
        self.homes[batch_id] = connection
        home = Home(connection=connection, queue=sketch.queue, batch=batch_id, binds=True)
        members = self.members(sketch.members, home)
        lent = {LENT_QUEUE: sketch.queue} if sketch.queue else {}
        place = Home(connection=connection, queue=sketch.queue or queue_of(members))
        callbacks = {
            kind: self._callbacks(jobs, place, batch=batch_id)
            for kind, jobs in sketch.callbacks.items()
            if jobs
        }
        return BatchPlan(
            id=batch_id,
            name=sketch.name,
            members=members,
            created_at=self._now,
            allow_failures=sketch.allow_failures,
            callbacks=callbacks,
            context={**self._context, **lent},
        )

    def members(
        self, members: Sequence[Job | ChainSketch], home: Home
    ) -> list[Message | ChainPlan]:
        """Return what is to be members of the batch that `home` names."""
        made: list[Message | ChainPlan] = []
        for number, member in enumerate(members, 1):
            place = f"member {number} of the batch"
            if isinstance(member, ChainSketch):
                with placed(place):
                    made.append(self._inner_chain(member, home))
                continue
            with placed(f"{place}, job {member.name!r}"):
                admission = self._dispatcher.prepare(member, home)
            self.started.append(admission)
            made.append(admission.message)
        return made

    def _inner_chain(self, sketch: ChainSketch, home: Home) -> ChainPlan:
        lent = replace(home, queue=sketch.queue or home.queue)
        plan = self._chain(sketch, lent, "its chain")
        place = Home(connection=home.connection, queue=lent.queue or queue_of(plan.links))
        return replace(plan, catch=self._callbacks(sketch.catch, place, chain=plan.id))

    def _connection_of(self, sketch: BatchSketch) -> str:
        """Return the one connection that the members name; raises when they name several."""
        named = {option(job, "connection") or self._default for job in _jobs(sketch)}
        if len(named) > 1:
            names = ", ".join(map(repr, sorted(named)))
            subject = f"Batch {sketch.name!r}" if sketch.name else "The batch"
            problem = (
                f"its jobs name the connections {names}, and a batch has one: "
                "choose it with on_connection()"
            )
            raise ConfigurationError(subject, [problem])
        return next(iter(named), self._default)

    # ---- callbacks ----

    def _callbacks(
        self, jobs: Sequence[Job], home: Home, *, batch: BatchId = "", chain: ChainId = ""
    ) -> list[Message]:
        about = {BATCH: batch} if batch else {CHAIN: chain}
        if home.connection:
            about[HOME] = home.connection
        made = []
        for job in jobs:
            with placed(f"a callback, job {job.name!r}"):
                admission = self._dispatcher.prepare(job, replace(home, context=about))
            message = admission.message
            if admission.target.name != home.connection:
                message.connection = admission.target.name
            made.append(message)
        return made


def settle_connections(plan: ChainPlan, homes: Mapping[BatchId, str]) -> ChainPlan:
    """Return the plan without connections named where all links are on one.

    A driver takes a message without a name for its own. `homes` tells where batches are.
    """
    names = {
        homes[link.id] if isinstance(link, BatchPlan) else link.connection for link in plan.links
    }
    if len(names) == 1:
        [name] = names
        for message in plan.catch:
            _settled(message, name)
        return replace(plan, links=settled_links(plan.links, name))
    return plan


def settled_links(
    links: Sequence[Message | BatchPlan], connection: str
) -> list[Message | BatchPlan]:
    """Return the links, those on this connection without its name: it is their driver's own."""
    return [_settled(link, connection) for link in links]


def _settled(link: Message | BatchPlan, connection: str) -> Message | BatchPlan:
    if link.connection != connection:
        return link
    if isinstance(link, BatchPlan):
        return replace(link, connection="")
    link.connection = ""
    return link


def _jobs(sketch: BatchSketch) -> Iterator[Job]:
    """Return the jobs whose connection is the batch's: of an inner batch it is its own matter."""
    for member in sketch.members:
        if isinstance(member, ChainSketch):
            yield from (link for link in member.links if isinstance(link, Job))
        else:
            yield member


_PLACES = ("Link ", "Member ", "A callback")


def queue_of(jobs: Sequence[Message | ChainPlan | BatchPlan]) -> str:
    """Return the queue of the first job: callbacks go where somebody works, "" without any."""
    for job in jobs:
        if isinstance(job, ChainPlan):
            return queue_of(job.links)
        if isinstance(job, BatchPlan):
            return queue_of(job.members)
        return job.queue
    return ""


def new_id() -> str:
    """Return the identity of a chain or a batch."""
    return urandom(16).hex()


def listed(verb: str, given: object) -> Iterable[Any]:
    """Return what can be gone through; raises `NotBatchable` for one thing alone."""
    if isinstance(given, Iterable):
        return given
    alone = f"job {given.name!r}" if isinstance(given, Job) else repr(given)
    raise NotBatchable(f"{verb}() takes a list, not {alone} alone: write {verb}([…])")


@contextmanager
def placed(place: str) -> Iterator[None]:
    """Let an error raised inside say where in the chain or the batch it happened."""
    try:
        yield
    except OnQueueError as error:
        if error.args and isinstance(error.args[0], str):
            text = error.args[0]
            if text.startswith(_PLACES):
                text = text[0].lower() + text[1:]
            error.args = (f"{place[0].upper()}{place[1:]}: {text}", *error.args[1:])
        raise
    except Exception as error:
        error.add_note(f"this was {place}")
        raise
