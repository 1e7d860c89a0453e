"""Claims, chains and batches of jobs that run in this process, by the arithmetic of all drivers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import timedelta
from threading import RLock
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, TypeVar

from onqueue.drivers.sync.ledger import Ledger
from onqueue.plans import BatchPlan, ChainPlan, ChainState, ClaimState, Tie

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onqueue.contracts import Clock, JobId, Message
    from onqueue.plans import BatchId, BatchState, CallbackKind, ChainEdit, ChainId, Claim

T = TypeVar("T")

MOST_KEPT = 10_000
"""Chains and batches that are remembered after their end."""

Outcome: TypeAlias = Literal["succeeded", "skipped", "expired", "cancelled", "failed"]


@dataclass(slots=True, frozen=True)
class End:
    """How a run ended; `raised` is what the dispatcher is to hear of."""

    outcome: Outcome = "succeeded"
    raised: BaseException | None = None
    edit: ChainEdit | None = None


class Run(Protocol):
    """Runs one job to its outcome; raises nothing that the job raised."""

    def __call__(
        self,
        connection: str,
        message: Message,
        *,
        about: str = "",
        starts: Callable[[], object] | None = None,
    ) -> End:
        """Run it; `about` is what a callback is about, `starts` is called right before `handle`."""
        ...


@dataclass(slots=True)
class _Chain:
    plan: ChainPlan
    waiting: deque[Message | BatchPlan]
    batch: BatchId = ""
    state: Literal["running", "broken", "finished", "moving"] = "running"
    current: str = ""
    done: int = 0
    total: int = 0


@dataclass(slots=True)
class _Work:
    """What one start set off: jobs to run, callbacks with what they are about, the first error."""

    jobs: deque[Message] = field(default_factory=deque)
    callbacks: deque[tuple[Message, str]] = field(default_factory=deque)
    raised: BaseException | None = None


class InlinePlans:
    """Keeps the plans of one connection while the process lives, and runs what they come to."""

    def __init__(self, name: str, run: Run, clock: Clock, *, everywhere: bool = False) -> None:
        """Run jobs of this connection, or with `everywhere` those of any other, too."""
        self._name = name
        self._run = run
        self._clock = clock
        self._everywhere = everywhere
        self._chains: dict[ChainId, _Chain] = {}
        self._batches: dict[BatchId, Ledger] = {}
        self._claims: dict[str, ClaimState] = {}
        self._successors: dict[str, Message] = {}
        self._moving: dict[str, Message | ChainPlan] = {}
        self._lock = RLock()

    # ---- the ways in ----

    def push(self, message: Message) -> JobId:
        """Run a job, if it gets its lock; return the id of the job that stands for it."""
        work = _Work()
        stands = self._post(message, work)
        self._carry_out(work)
        return stands

    def start_chain(self, plan: ChainPlan) -> bool:
        """Run a chain; raises what broke it. False when it was started before."""
        if plan.id in self._chains:
            return False
        work = _Work()
        self._begin_chain(plan, "", work)
        self._carry_out(work)
        return True

    def start_batch(self, plan: BatchPlan) -> bool:
        """Run a batch; raises the first failure that it does not allow."""
        if plan.id in self._batches:
            return False
        work = _Work()
        self._begin_batch(plan, None, work)
        self._carry_out(work)
        return True

    def add_to_batch(self, batch_id: BatchId, members: Sequence[Message | ChainPlan]) -> int:
        """Run more members of a batch; return how many jobs, 0 when it has ended."""
        ledger = self._batches.get(batch_id)
        if ledger is None or ledger.finished_at is not None:
            return 0
        work = _Work()
        count = ledger.enter(members)
        for member in members:
            self._begin_member(member, ledger, work)
        self._carry_out(work)
        return count

    def cancel_batch(self, batch_id: BatchId) -> bool:
        """Let the members that wait end unrun."""
        ledger = self._batches.get(batch_id)
        return ledger is not None and ledger.cancel("user", self._clock.now())

    def forget_batch(self, batch_id: BatchId) -> bool:
        """Forget a batch."""
        return self._batches.pop(batch_id, None) is not None

    def batch(self, batch_id: BatchId) -> BatchState | None:
        """Return how a batch stands."""
        ledger = self._batches.get(batch_id)
        return None if ledger is None else ledger.state()

    def batches(self, after: BatchId | None = None, limit: int = 50) -> list[BatchState]:
        """Return the newest first."""
        newest = list(reversed(self._batches))
        if after is not None:
            newest = newest[newest.index(after) + 1 :] if after in newest else []
        return [self._batches[batch_id].state() for batch_id in newest[:limit]]

    def failed_members(self, batch_id: BatchId) -> list[JobId]:
        """Return the members that have failed, sorted."""
        ledger = self._batches.get(batch_id)
        return [] if ledger is None else ledger.failed()

    def chain(self, chain_id: ChainId) -> ChainState | None:
        """Return how a chain stands."""
        chain = self._chains.get(chain_id)
        if chain is None:
            return None
        waiting = tuple(link.id for link in chain.waiting)
        name = chain.plan.name
        return ChainState(
            chain_id, name, chain.state, chain.total, chain.done, chain.current, waiting
        )

    def transfers(self, limit: int = 100) -> list[Message | ChainPlan]:
        """Return what belongs to other connections."""
        return list(self._moving.values())[:limit]

    def carried(self, taken: Sequence[Message | ChainPlan]) -> None:
        """Forget what was taken there."""
        for one in taken:
            self._moving.pop(one.id, None)

    def claims(self) -> list[ClaimState]:
        """Return the locks that stand."""
        return [state for _, state in sorted(self._claims.items())]

    def free_claim(self, key: str) -> bool:
        """Take a lock from its owner."""
        return self._claims.pop(key, None) is not None

    # ---- running ----

    def _carry_out(self, work: _Work) -> None:
        while work.jobs or work.callbacks:
            if work.callbacks:
                message, about = work.callbacks.popleft()
                self._run(self._place_of(message), message, about=about)
            else:
                self._run_one(work.jobs.popleft(), work)
        if work.raised is not None:
            raise work.raised

    def _place_of(self, message: Message) -> str:
        return message.connection or self._name

    def _run_one(self, message: Message, work: _Work) -> None:
        tie = message.tie or Tie()
        ledger = self._batches.get(tie.batch)
        if ledger is not None and ledger.cancelled_at is not None:
            self._ended(tie, message.id, End("cancelled"), work)
            return
        starts = None
        if tie.claim is not None and tie.claim.until_processing:
            claim = tie.claim

            def starts() -> None:
                self._free(claim, message.id, work)

        end = self._run(self._place_of(message), message, starts=starts)
        self._ended(tie, message.id, end, work)

    def _ended(self, tie: Tie, job_id: JobId, end: End, work: _Work) -> None:
        ledger = self._batches.get(tie.batch)
        tolerated = ledger is not None and ledger.plan.allow_failures
        if end.raised is not None and work.raised is None and not tolerated:
            work.raised = end.raised
        if tie.claim is not None:
            self._free(tie.claim, job_id, work)
        chain = self._chains.get(tie.chain)
        if chain is not None:
            self._advance(chain, job_id, end, work)
        if ledger is not None:
            self._count(ledger, job_id, end.outcome, work)

    def _post(self, message: Message, work: _Work) -> JobId:
        """Let a job run next, elsewhere, or not at all, as another one has its lock."""
        tie = message.tie or Tie()
        if message.connection not in {"", self._name} and not self._everywhere:
            self._moving[message.id] = message
            return message.id
        ledger = self._batches.get(tie.batch)
        if ledger is not None:
            ledger.reenter(message.id)
        if tie.claim is not None:
            stands = self._claim(tie.claim, message)
            if stands != message.id:
                self._ended(tie, message.id, End("skipped"), work)
                return stands
            if self._successors.get(tie.claim.key) is message:
                return stands
        work.jobs.append(message)
        return message.id

    # ---- claims ----

    def _claim(self, claim: Claim, message: Message) -> JobId:
        with self._lock:
            known = self._claims.get(claim.key)
            if known is None or known.expires_at <= self._clock.now():
                expires_at = self._clock.now() + timedelta(seconds=claim.lifetime)
                self._claims[claim.key] = ClaimState(claim.key, message.id, expires_at)
                return message.id
            if claim.on_conflict not in {"replace", "keep_last"}:
                return known.owner
            first = self._successors.get(claim.key, message)
            follower = message if first is message else replace(first, payload=message.payload)
            self._successors[claim.key] = follower
            return follower.id

    def _free(self, claim: Claim, owner: JobId, work: _Work) -> None:
        with self._lock:
            known = self._claims.get(claim.key)
            if known is not None and known.owner == owner:
                del self._claims[claim.key]
                successor = self._successors.pop(claim.key, None)
                if successor is not None:
                    self._post(successor, work)

    # ---- chains ----

    def _begin_chain(self, plan: ChainPlan, batch: BatchId, work: _Work) -> None:
        chain = _Chain(plan, deque(plan.links), batch, total=len(plan.links))
        _keep(self._chains, plan.id, chain)
        self._next_link(chain, work)

    def _next_link(self, chain: _Chain, work: _Work) -> None:
        if not chain.waiting:
            chain.state, chain.current = "finished", ""
            return
        link = chain.waiting.popleft()
        chain.current = link.id
        tie = Tie(chain=chain.plan.id, batch=chain.batch)
        if link.connection not in {"", self._name} and not self._everywhere:
            chain.state = "moving"
            rest = [link, *chain.waiting]
            self._moving[chain.plan.id] = replace(chain.plan, links=rest, token=link.id)
        elif isinstance(link, BatchPlan):
            self._begin_batch(link, tie, work)
        else:
            self._post(tied(link, tie), work)

    def _advance(self, chain: _Chain, job_id: str, end: End, work: _Work) -> None:
        if chain.current != job_id:
            return
        if end.outcome == "succeeded" and chain.state == "broken":
            chain.state = "running"
            self._cut(chain, -1, work)
        if chain.state != "running":
            return
        passes = end.outcome in {"skipped", "expired"} and chain.plan.on_skip == "continue"
        if end.outcome == "succeeded" or passes:
            chain.done += 1
            if end.edit is not None and end.outcome == "succeeded":
                self._edit(chain, end.edit)
            self._next_link(chain, work)
            return
        chain.state = "broken"
        self._cut(chain, 1, work)
        self._call_back(chain.plan.catch, job_id, work)

    def _edit(self, chain: _Chain, edit: ChainEdit) -> None:
        chain.waiting.extendleft(reversed(edit.prepend))
        chain.waiting.extend(edit.append)
        chain.total += len(edit.prepend) + len(edit.append)
        ledger = self._batches.get(chain.batch)
        if ledger is not None:
            ledger.expect([link.id for link in (*edit.prepend, *edit.append)])

    def _cut(self, chain: _Chain, sign: int, work: _Work) -> None:
        ledger = self._batches.get(chain.batch)
        if ledger is not None and chain.waiting:
            ledger.cut([link.id for link in chain.waiting], sign)
            self._finish(ledger, work)

    # ---- batches ----

    def _begin_batch(self, plan: BatchPlan, tie: Tie | None, work: _Work) -> None:
        ledger = Ledger(plan, tie or Tie())
        _keep(self._batches, plan.id, ledger)
        outer = self._batches.get(ledger.tie.batch)
        if outer is not None and outer.cancelled_at is not None:
            ledger.cancel(outer.cause, outer.cancelled_at)
        ledger.enter(plan.members)
        self._call_back(plan.callbacks.get("before", ()), plan.id, work)
        for member in plan.members:
            self._begin_member(member, ledger, work)
        self._finish(ledger, work)

    def _begin_member(self, member: Message | ChainPlan, ledger: Ledger, work: _Work) -> None:
        if isinstance(member, ChainPlan):
            self._begin_chain(member, ledger.plan.id, work)
        else:
            self._post(tied(member, Tie(batch=ledger.plan.id)), work)

    def _count(self, ledger: Ledger, job_id: str, outcome: Outcome, work: _Work) -> None:
        if not ledger.count(job_id, outcome):
            return
        tolerates = ledger.plan.allow_failures
        if outcome == "failed":
            self._tell(ledger, "catch", job_id, work)
            if not tolerates:
                ledger.cancel("failure", self._clock.now())
        if outcome == "succeeded" or (outcome == "failed" and tolerates):
            again = ledger.plan.callbacks.get("progress", ())
            self._call_back(again, job_id, work)
        self._finish(ledger, work)

    def _finish(self, ledger: Ledger, work: _Work) -> None:
        if not ledger.finish(self._clock.now()):
            return
        well = ledger.ended_well
        if well:
            self._tell(ledger, "then", ledger.plan.id, work)
        self._tell(ledger, "finally", ledger.plan.id, work)
        if ledger.tie.chain or ledger.tie.batch:
            outcome: Outcome = "failed"
            if well:
                outcome = "succeeded"
            elif ledger.cause == "user":
                outcome = "cancelled"
            self._ended(ledger.tie, ledger.plan.id, End(outcome), work)

    # ---- callbacks ----

    def _tell(self, ledger: Ledger, kind: CallbackKind, about: str, work: _Work) -> None:
        if kind not in ledger.told:
            ledger.told.add(kind)
            self._call_back(ledger.plan.callbacks.get(kind, ()), about, work)

    def _call_back(self, messages: Sequence[Message], about: str, work: _Work) -> None:
        for message in messages:
            if message.connection not in {"", self._name} and not self._everywhere:
                self._moving[message.id] = message
            else:
                work.callbacks.append((message, about))


def _keep(known: dict[str, T], key: str, value: T) -> None:
    """Remember one more and forget the oldest: a process may start any number."""
    known[key] = value
    if len(known) > MOST_KEPT:
        del known[next(iter(known))]


def tied(message: Message, tie: Tie) -> Message:
    """Return the message as one of a chain or a batch."""
    own = message.tie or Tie()
    return replace(message, tie=replace(own, chain=tie.chain, batch=tie.batch))
