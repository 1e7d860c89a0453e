"""However members end, are retried, added, cancelled or lost with their holder: sums are right."""

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from meet2be.local.valkey import ValkeyServer
from onqueue.contracts import BatchPlan, Burial, ChainPlan, Message, ReservedJob, Tie
from onqueue.testing.batch_contract import batch_of
from onqueue.testing.chain_contract import chain_of
from support.redis_rig import Rig, message, rig

MOST_BATCHES = 3
COUNTED = ("succeeded", "failed", "skipped", "cancelled", "broken")
KINDS = ("before", "progress", "then", "catch", "finally")
NAMES = {"succeeded": "ack", "failed": "fail", "skipped": "skipped", "cancelled": "cancelled"}


@dataclass
class Row:
    """A chain of members (a plain member is a chain of one) and how far it has come."""

    ids: list[str]
    chain: str = ""
    at: int = 0
    is_broken: bool = False


@dataclass
class Book:
    """A batch as the model sees it: how each member ended, and what must have been called."""

    plan: BatchPlan
    rows: list[Row]
    ends: dict[str, str] = field(default_factory=dict)
    cause: str = ""
    called: Counter[str] = field(default_factory=Counter)
    is_over: bool = False

    @property
    def members(self) -> list[str]:
        return [one for row in self.rows for one in row.ids]

    def counts(self) -> Counter[str]:
        ended = Counter(self.ends.values())
        ended["broken"] = sum(len(row.ids) - row.at - 1 for row in self.rows if row.is_broken)
        ended["pending"] = len(self.members) - sum(ended[name] for name in COUNTED)
        return ended

    def look_whether_it_is_over(self) -> None:
        counts = self.counts()
        if counts["pending"] or self.is_over:
            return
        self.is_over = True
        self.called["finally"] = 1
        bad = counts["failed"] + counts["broken"] + counts["cancelled"]
        if self.cause != "user" and (self.plan.allow_failures or not bad):
            self.called["then"] = 1


class Ledger(RuleBasedStateMachine):
    """Two batches, two holders, and callbacks that end as soon as they are seen."""

    server: ValkeyServer

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.books: dict[str, Book] = {}
        self.of: dict[str, tuple[Book, Row]] = {}
        self.held: list[ReservedJob] = []
        self.seen: Counter[tuple[str, str]] = Counter()

    @initialize(rows=st.lists(st.integers(1, 3), min_size=3, max_size=6), allow=st.booleans())
    def start(self, rows: list[int], allow: bool) -> None:
        with redis.Redis.from_url(self.server.url) as client:
            client.flushdb()
        self.rig: Rig = self.stack.enter_context(rig(self.server.url))
        self.consumer = self.rig.consumer("default", "low")
        self.start_batch(rows, allow)

    def teardown(self) -> None:
        self.stack.close()

    @rule(rows=st.lists(st.integers(1, 3), max_size=3), allow=st.booleans())
    def start_batch(self, rows: list[int], allow: bool) -> None:
        if len(self.books) == MOST_BATCHES:
            return
        members = [message() if size == 1 else chain_of(size) for size in rows]
        plan = (
            batch_of(*members, kinds=KINDS, allow_failures=allow)
            if members
            else batch_of(kinds=KINDS, allow_failures=allow)
        )
        assert self.rig.queue.start_batch(plan) is True
        book = self.books[plan.id] = Book(plan, [])
        book.called["before"] = 1
        self.enter(book, members)
        book.look_whether_it_is_over()

    @rule(data=st.data(), rows=st.lists(st.integers(1, 2), min_size=1, max_size=2))
    def add(self, data: st.DataObject, rows: list[int]) -> None:
        if not self.books:
            return
        book = list(self.books.values())[data.draw(st.integers(0, len(self.books) - 1))]
        members = [message() if size == 1 else chain_of(size) for size in rows]
        added = self.rig.queue.add_to_batch(book.plan.id, members)
        assert added == (0 if book.is_over else sum(rows))
        if added:
            self.enter(book, members)

    @rule(want=st.integers(1, 4))
    def take(self, want: int) -> None:
        jobs = self.consumer.turn(want, []).jobs
        done = []
        for job in jobs:
            if job.queue == "low":
                self.seen[self.batch_of_callback(job), job.payload.decode()] += 1
                done.append(job.id)
                continue
            book, row = self.of[job.id]
            assert row.ids[row.at] == job.id
            retried = job.id in book.called
            assert job.cancelled is (bool(book.cause) and not retried)
            self.held.append(job)
        if done:
            assert self.consumer.turn(0, done).refused == []

    @rule(
        outcomes=st.lists(st.sampled_from([*sorted(NAMES), "succeeded"]), min_size=3, max_size=12)
    )
    def work(self, outcomes: list[str]) -> None:
        for outcome in outcomes:
            self.take(1)
            if self.held:
                self.end_one(self.held.pop(), outcome, by_turn=len(outcomes) % 2 == 0)

    @rule(data=st.data(), outcome=st.sampled_from(sorted(NAMES)), by_turn=st.booleans())
    def end(self, data: st.DataObject, outcome: str, by_turn: bool) -> None:
        if not self.held:
            return
        job = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        self.end_one(job, outcome, by_turn=by_turn)

    def end_one(self, job: ReservedJob, outcome: str, *, by_turn: bool) -> None:
        if outcome == "succeeded" and by_turn:
            assert self.consumer.turn(0, [job.id]).refused == []
        elif outcome == "succeeded":
            assert self.consumer.ack(job) is True
        elif outcome == "failed":
            assert self.consumer.fail(job) is True
        else:
            assert self.consumer.ack(job, outcome) is True  # type: ignore[arg-type]
        self.ended(job.id, outcome)

    @rule()
    def die(self) -> None:
        self.rig.leases.bury(self.consumer.holder, Burial("lapsed"))
        for job in self.held:
            assert self.consumer.ack(job) is False
        self.held = []
        self.consumer = self.rig.consumer("default", "low")

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if not self.books:
            return
        book = list(self.books.values())[data.draw(st.integers(0, len(self.books) - 1))]
        cancelled = self.rig.queue.cancel_batch(book.plan.id)
        assert cancelled is not (book.is_over or bool(book.cause))
        if cancelled:
            book.cause = "user"

    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        failed = [
            one
            for book in self.books.values()
            for one in book.members
            if book.ends.get(one) == "failed"
        ]
        if not failed:
            return
        job_id = failed[data.draw(st.integers(0, len(failed) - 1))]
        book, row = self.of[job_id]
        tie = Tie(batch=book.plan.id, chain=row.chain)
        assert self.rig.queue.push(Message(job_id, "default", b"{}", tie=tie)) is True
        del book.ends[job_id]
        row.is_broken = False
        book.is_over = False
        book.called[job_id] = 1

    @invariant()
    def the_sums_are_right(self) -> None:
        for book in self.books.values():
            state = self.rig.queue.batch(book.plan.id)
            assert state is not None
            counts = book.counts()
            assert state.total == len(book.members)
            assert {name: getattr(state, name) for name in (*COUNTED, "pending")} == {
                name: counts[name] for name in (*COUNTED, "pending")
            }
            assert (state.finished_at is not None) is book.is_over
            assert (state.cancelled_at is not None) is bool(book.cause)
            failed = sorted(one for one, end in book.ends.items() if end == "failed")
            assert self.rig.queue.failed_members(book.plan.id) == failed

    @invariant()
    def nothing_was_called_too_often(self) -> None:
        for (batch_id, kind), times in self.seen.items():
            assert times <= self.books[batch_id].called[kind]

    @rule()
    def callbacks_have_all_been_called(self) -> None:
        caller = self.rig.consumer("low")
        while jobs := caller.turn(10, []).jobs:
            for job in jobs:
                self.seen[self.batch_of_callback(job), job.payload.decode()] += 1
            assert caller.turn(0, [job.id for job in jobs]).refused == []
        caller.close()
        for batch_id, book in self.books.items():
            found = {kind: self.seen[batch_id, kind] for kind in KINDS}
            assert found == {kind: book.called[kind] for kind in KINDS}

    # ---- steps ----

    def enter(self, book: Book, members: list[Any]) -> None:
        for member in members:
            is_chain = isinstance(member, ChainPlan)
            ids = [one.id for one in member.links] if is_chain else [member.id]
            row = Row(ids, member.id if is_chain else "")
            book.rows.append(row)
            self.of |= dict.fromkeys(ids, (book, row))

    def ended(self, job_id: str, outcome: str) -> None:
        book, row = self.of[job_id]
        book.ends[job_id] = outcome
        if outcome == "failed":
            book.called["catch"] = 1
            if not book.plan.allow_failures and not book.cause:
                book.cause = "failure"
        if outcome == "succeeded" or (outcome == "failed" and book.plan.allow_failures):
            book.called["progress"] += 1
        if outcome in {"succeeded", "skipped"}:
            row.at += 1
        else:
            row.is_broken = bool(row.chain)
        book.look_whether_it_is_over()

    def batch_of_callback(self, job: ReservedJob) -> str:
        if job.about in self.books:
            return job.about
        book, _ = self.of[job.about]
        return book.plan.id


@pytest.fixture
def modelled(valkey_server: ValkeyServer) -> type[Ledger]:
    Ledger.server = valkey_server
    return Ledger


def test_the_ledger_of_batches_agrees_with_the_model(modelled: type[Ledger]) -> None:
    """C66, C69, C70, C74."""
    run_state_machine_as_test(
        modelled,
        settings=settings(
            max_examples=30,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
