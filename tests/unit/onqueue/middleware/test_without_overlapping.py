"""One job of a key at a time."""

from typing import Any

import pytest

from onqueue import Job
from onqueue.errors import NotRunning
from onqueue.job_context import JobContext, Order
from onqueue.middleware import WithoutOverlapping
from support import middleware_rig


class Import(Job):
    event: int = 1

    def handle(self) -> None: ...


class LocksDouble:
    """Keeps who holds what."""

    def __init__(self) -> None:
        self.held: dict[str, str] = {}
        self.expiries: list[float | None] = []

    def acquire(self, key: str, owner: str, expire_after: float | None) -> bool:
        self.expiries.append(expire_after)
        return self.held.setdefault(key, owner) == owner

    def release(self, key: str, owner: str) -> bool:
        return self.held.get(key) == owner and bool(self.held.pop(key))


def bound(locks: LocksDouble | None, job_id: str = "1") -> tuple[Import, JobContext]:
    job = Import()
    return job, middleware_rig.bound(job, locks=locks, job_id=job_id)


def test_the_lock_is_held_while_the_job_runs() -> None:
    locks = LocksDouble()
    job, context = bound(locks)
    held: list[Any] = []
    WithoutOverlapping(5).expire_after(60)(job, lambda _: held.append(dict(locks.held)))
    assert held == [{"overlap:Import:5": "1"}]
    assert locks.held == {}
    assert locks.expiries == [60]
    assert context.order is None


def test_the_lock_is_given_back_when_the_job_raises() -> None:
    locks = LocksDouble()
    job, _ = bound(locks)

    def broken(_job: Job) -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        WithoutOverlapping(5)(job, broken)
    assert locks.held == {}


@pytest.mark.parametrize(
    ("stage", "order"),
    [
        (WithoutOverlapping(5), Order("park", lock="overlap:Import:5")),
        (WithoutOverlapping(5).release_after(9), Order("release", delay=9.0)),
        (WithoutOverlapping(5).dont_release(), Order("skip")),
    ],
)
def test_a_job_that_must_wait_does_what_it_was_told(
    stage: WithoutOverlapping, order: Order
) -> None:
    locks = LocksDouble()
    locks.acquire("overlap:Import:5", "another", None)
    job, context = bound(locks)
    ran: list[Job] = []
    stage(job, ran.append)
    assert ran == []
    assert context.order == order
    assert locks.held == {"overlap:Import:5": "another"}


def test_a_shared_key_holds_across_job_classes() -> None:
    """C53."""
    assert WithoutOverlapping("k").shared().lock_name(Import()) == "overlap:k"


def test_without_locks_it_refuses_to_run() -> None:
    job, _ = bound(None)
    with pytest.raises(NotRunning):
        WithoutOverlapping()(job, lambda _: None)
