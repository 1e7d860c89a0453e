"""Jobs that run inside their dispatcher: the sync driver and `dispatch_sync`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import svcs

import onqueue
from onqueue import Job, QueueManager, events
from onqueue.errors import MissingModel, NotWithSync
from onqueue.failed import MemoryFailedJobs
from onqueue.middleware import WithoutOverlapping
from onqueue.testing.clock import FakeClock

RAN: list[Any] = []


class Shop:
    name = "shop"


class Lost:
    def to_reference(self) -> int:
        return 1

    @classmethod
    def from_reference(cls, key: int) -> None:
        return None


class Serve(Job):
    what: str = "work"

    def handle(self, shop: Shop) -> None:
        RAN.append((self.what, self.attempts, self.tenant, shop.name))
        match self.what:
            case "raise":
                raise ValueError("broken")
            case "fail":
                self.fail("given up")
            case "delete":
                self.delete()
            case "release":
                self.release(5)
            case "snooze":
                self.snooze(5)
            case _:
                """Just work."""

    def failed(self, error: BaseException) -> None:
        RAN.append(("failed", str(error)))


class Guarded(Job):
    skip: bool = False

    def middleware(self) -> list[Any]:
        def stage(job: Job, inner: Any) -> None:
            RAN.append("in")
            if not self.skip:
                inner(job)
            RAN.append("out")

        return [stage, WithoutOverlapping("k")]

    def handle(self) -> None:
        RAN.append("handle")


class NeedsLost(Job):
    lost: Lost

    def handle(self) -> None: ...


class ToleratesLost(NeedsLost):
    delete_when_missing_models = True

    def handle(self) -> None: ...


@pytest.fixture
def store() -> MemoryFailedJobs:
    return MemoryFailedJobs()


@pytest.fixture
def heard() -> Iterator[list[Any]]:
    told: list[Any] = []

    def note(event: object) -> None:
        told.append(event)

    signals = [
        events.job_processing,
        events.job_processed,
        events.job_exception_occurred,
        events.job_failed,
        events.job_attempted,
    ]
    for signal in signals:
        signal.connect(note)
    yield told
    for signal in signals:
        signal.disconnect(note)


@contextmanager
def tenant_scope(context: Any) -> Iterator[None]:
    RAN.append(("enter", context["tenant"]))
    yield
    RAN.append(("leave", context["tenant"]))


@pytest.fixture(autouse=True)
def _manager(store: MemoryFailedJobs) -> Iterator[None]:
    RAN.clear()
    registry = svcs.Registry()
    registry.register_value(Shop, Shop())
    manager = QueueManager(
        "sync",
        {"sync": {"driver": "sync"}, "null": {"driver": "null"}},
        failed=store,
        services=registry,
        clock=FakeClock(),
        context=lambda: {"tenant": "7"},
        scope=tenant_scope,
    )
    with onqueue.using(manager):
        yield


def names(told: list[Any]) -> list[str]:
    return [type(event).__name__ for event in told]


def test_a_job_runs_at_once_inside_its_scope(heard: list[Any]) -> None:
    Serve().dispatch()
    assert RAN == [("enter", "7"), ("work", 1, "7", "shop"), ("leave", "7")]
    assert names(heard) == ["JobProcessing", "JobProcessed", "JobAttempted"]
    assert heard[1].outcome == "succeeded"


def test_a_delay_is_ignored() -> None:
    """K41."""
    onqueue.dispatch_many([Serve().delay(60), Serve("delete")])
    assert len(RAN) == 6


def test_dispatch_sync_runs_whatever_the_connection() -> None:
    """K44."""
    Serve().on_connection("null").dispatch_sync()
    assert ("work", 1, "7", "shop") in RAN


def test_what_the_job_raises_reaches_the_dispatcher_and_the_failed_store(
    store: MemoryFailedJobs, heard: list[Any]
) -> None:
    """K41, C42."""
    with pytest.raises(ValueError, match="broken"):
        Serve("raise").dispatch()
    (failed,) = store.all()
    assert (failed.job, failed.error_type, failed.error) == ("Serve", "ValueError", "broken")
    assert (failed.attempts, failed.tenant, failed.connection) == (1, "7", "sync")
    assert "in handle" in failed.traceback
    assert ("failed", "broken") in RAN
    assert names(heard) == [
        "JobProcessing",
        "JobExceptionOccurred",
        "JobFailed",
        "JobAttempted",
    ]


def test_a_job_that_fails_itself_is_recorded_and_not_raised(
    store: MemoryFailedJobs, heard: list[Any]
) -> None:
    Serve("fail").dispatch()
    assert [failed.error for failed in store.all()] == ["given up"]
    assert names(heard) == ["JobProcessing", "JobFailed", "JobAttempted"]


@pytest.mark.parametrize("what", ["release", "snooze"])
def test_a_job_cannot_go_back_to_a_queue_it_never_was_on(
    store: MemoryFailedJobs, what: str
) -> None:
    """C41."""
    with pytest.raises(NotWithSync, match=f"asked for '{what}'"):
        Serve(what).dispatch()
    assert len(store.all()) == 1


def test_middleware_surrounds_the_job(heard: list[Any]) -> None:
    """K44."""
    Guarded().dispatch()
    Guarded(skip=True).dispatch()
    assert [one for one in RAN if isinstance(one, str)] == ["in", "handle", "out", "in", "out"]
    assert [event.outcome for event in heard if isinstance(event, events.JobProcessed)] == [
        "succeeded",
        "skipped",
    ]


def test_a_missing_record_fails_the_job_or_drops_it(
    store: MemoryFailedJobs, heard: list[Any]
) -> None:
    with pytest.raises(MissingModel, match="Lost 1"):
        NeedsLost(Lost()).dispatch()
    ToleratesLost(Lost()).dispatch()
    assert [failed.job for failed in store.all()] == ["NeedsLost"]
    assert heard[-1].outcome == "skipped"


def test_a_hook_that_raises_hides_nothing(
    store: MemoryFailedJobs, caplog: pytest.LogCaptureFixture
) -> None:
    class Twice(Job):
        def handle(self) -> None:
            raise ValueError("first")

        def failed(self, error: BaseException) -> None:
            raise KeyError("second")

    with pytest.raises(ValueError, match="first"):
        Twice().dispatch()
    assert [failed.error for failed in store.all()] == ["first"]
    assert "failed() of job 'Twice'" in caplog.text
