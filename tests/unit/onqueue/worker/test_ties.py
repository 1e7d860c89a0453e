"""What a child does with jobs that are unique, cancelled, links or members."""

from typing import Any

import pytest

import onqueue
from onqueue import Job
from onqueue.payload import plan_of
from onqueue.plans import ChainEdit, Claim, Tie
from onqueue.worker.prefetch import Prefetch
from onqueue.worker.shared import Exit
from support.child_crew import CrewBench
from support.child_loop import Bench, hearing

RUNS: list[str] = []


class Tied(Job):
    name = "worker.ties.tied"
    label: str
    how: str = ""

    def middleware(self) -> list[Any]:
        def note(job: Job, inner: Any) -> None:
            RUNS.append("middleware")
            if self.how == "turned away":
                job.release(5)
                return
            inner(job)

        return [note] if self.how in {"watched", "turned away"} else []

    def handle(self) -> None:
        RUNS.append(self.label)
        if self.how == "fail":
            self.fail("as told")
        if self.how.startswith("edit"):
            self.append_to_chain(Tied("last"))
            self.prepend_to_chain(Tied("next"))
        if self.how == "edit and release":
            self.release(1)


@pytest.fixture
def bench() -> Any:
    RUNS.clear()
    bench = Bench()
    with onqueue.using(bench.manager):
        yield bench


def put(bench: Bench, job: Job, tie: Tie, **state: Any) -> str:
    """Make a job with a tie ready."""
    return bench.put_payload(plan_of(type(job)).encode(job, 0.0, None, tie=tie), **state)


UNTIL = Tie(claim=Claim("k", until_processing=True))
LINK = Tie(chain="c" * 32)
MEMBER = Tie(batch="b" * 32)


def test_a_cancelled_job_ends_unrun(bench: Bench) -> None:
    """C57."""
    job_id = put(bench, Tied("a"), MEMBER, cancelled=True)
    with hearing() as heard:
        bench.run()
    assert RUNS == []
    assert bench.consumer.settled(job_id) == ("ack", "cancelled")
    assert [getattr(event, "outcome", "") for event in heard] == ["cancelled", "cancelled"]


def test_a_lock_until_processing_is_given_back_right_before_handle(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K61."""

    def processing(job: Any) -> bool:
        RUNS.append("freed")
        return True

    monkeypatch.setattr(bench.consumer, "processing", processing)
    put(bench, Tied("a", "watched"), UNTIL)
    put(bench, Tied("b", "turned away"), UNTIL)
    put(bench, Tied("c"), Tie(claim=Claim("k")))
    bench.run()
    assert RUNS == ["middleware", "freed", "a", "middleware", "c"]


def test_who_has_lost_the_lease_frees_no_lock_and_runs_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K61."""
    monkeypatch.setattr(bench.consumer, "processing", lambda job: False)
    put(bench, Tied("a"), UNTIL)
    assert bench.run()[0] is Exit.LEASE_LOST
    assert RUNS == []


def test_what_a_link_adds_goes_with_its_end_and_not_with_a_release(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C65."""
    edits: list[ChainEdit | None] = []

    def ack(job: Any, outcome: str = "succeeded", chain: ChainEdit | None = None) -> bool:
        edits.append(chain)
        return True

    monkeypatch.setattr(bench.consumer, "ack", ack)
    put(bench, Tied("a", "edit"), LINK)
    put(bench, Tied("b", "edit and release"), LINK)
    put(bench, Tied("c", "skip"), LINK)
    bench.run()
    [edit] = edits
    assert edit is not None
    [first], [last] = edit.prepend, edit.append
    assert isinstance(first, onqueue.contracts.Message)
    assert isinstance(last, onqueue.contracts.Message)
    assert b"next" in first.payload and b"last" in last.payload
    assert first.tie == LINK and first.connection == ""


@pytest.mark.parametrize("runners", [0, 1], ids=["alone", "in a thread"])
def test_what_was_reserved_with_a_member_that_fails_goes_back_to_be_looked_at_anew(
    runners: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C57."""
    RUNS.clear()
    bench = CrewBench(1) if runners else Bench()
    monkeypatch.setattr(Prefetch, "want", lambda *_: 8)
    put(bench, Tied("a"), MEMBER)
    failing = put(bench, Tied("b", "fail"), MEMBER)
    later = [put(bench, Tied(label), MEMBER) for label in "cd"]
    bench.run()
    assert RUNS == ["a", "b"]
    assert bench.consumer.settled(failing) == ("fail",)
    assert ("give back", *later) in bench.consumer.told
