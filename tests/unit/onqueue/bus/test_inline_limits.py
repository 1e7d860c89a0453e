"""Quotas of jobs that run inside their dispatcher."""

from collections.abc import Iterator, Sequence

import pytest

from onqueue import Job, QueueManager, using
from onqueue.bus.inline_limits import InlineLimits, inline_limits
from onqueue.errors import NotWithSync
from onqueue.failed import MemoryFailedJobs
from onqueue.limits import funnel, throttle
from onqueue.middleware import Middleware, ThrottlesExceptions
from onqueue.quotas import Quota
from onqueue.testing.clock import FakeClock

RATE = Quota("rate", "r", 2, 60.0)
SLOT = Quota("slots", "s", 1)


class MeteredInline(Job):
    def middleware(self) -> Sequence[Middleware]:
        return [throttle("inline").allow(1).every(60), funnel("inline").limit(1)]

    def handle(self) -> None: ...


class ReleasedInline(Job):
    def handle(self) -> None:
        for _ in range(2):
            with throttle("inside").every(60).release_after(5):
                continue


class ThrottledInline(Job):
    def middleware(self) -> Sequence[Middleware]:
        return [ThrottlesExceptions(1, 60)]

    def handle(self) -> None:
        raise ConnectionRefusedError("away")


@pytest.fixture
def manager() -> Iterator[QueueManager]:
    clock = FakeClock()
    made = QueueManager("sync", {"sync": {"driver": "sync"}}, MemoryFailedJobs(clock), clock=clock)
    with using(made):
        yield made


def test_windows_slots_and_faults_are_counted_together_or_not_at_all() -> None:
    clock = FakeClock()
    limits = InlineLimits(clock)
    faults = Quota("faults", "f", 1, 60.0)
    assert [limits.admit([RATE, SLOT], owner, "q") for owner in ("a", "b")] == [None, float("inf")]
    limits.free([SLOT], "a")
    assert limits.admit([RATE, SLOT], "b", "q") is None
    assert limits.admit([RATE], "c", "q") == 60.0
    clock.sleep(60.0)
    assert limits.admit([RATE, faults], "c", "q") is None
    limits.hit(faults)
    assert limits.admit([faults], "c", "q") == 60.0
    limits.clear(faults)
    assert limits.admit([faults], "c", "q") is None


def test_a_job_that_would_have_to_wait_fails_in_its_dispatcher(manager: QueueManager) -> None:
    MeteredInline().dispatch()
    with pytest.raises(NotWithSync, match="'park'"):
        MeteredInline().dispatch()
    assert inline_limits(manager) is inline_limits(manager)
    with pytest.raises(NotWithSync, match="'release'"):
        ReleasedInline().dispatch()


def test_an_exception_that_was_swallowed_to_try_again_is_what_the_dispatcher_gets(
    manager: QueueManager,
) -> None:
    """C41, C55."""
    with pytest.raises(ConnectionRefusedError):
        ThrottledInline().dispatch()
    assert [failed.error_type for failed in manager.failed.all()] == ["ConnectionRefusedError"]
