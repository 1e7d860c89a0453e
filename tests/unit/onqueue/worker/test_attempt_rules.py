"""How often a job is tried, and what no other attempt can mend."""

from collections.abc import Iterator
from typing import Any

import pytest
import svcs

from onqueue import Job, QueueManager
from onqueue.errors import BeyondRetry
from onqueue.payload import decode, plan_of
from support.child_loop import Bench, hearing, names

RUNS: list[Any] = []


@pytest.fixture(autouse=True)
def _fresh() -> None:
    RUNS.clear()


@pytest.fixture
def bench() -> Bench:
    return Bench()


class Refused(ValueError):
    """An error that a test's manager does not retry."""


class Fussy(Job):
    name = "rules.fussy"
    tries = 5
    error: str = "refused"

    def handle(self) -> None:
        kinds = {"refused": Refused, "value": ValueError, "core": BeyondRetry}
        raise kinds[self.error](self.error)

    def failed(self, error: BaseException) -> None:
        RUNS.append(str(error))


def managed(bench: Bench, dont_retry: Any) -> None:
    bench.manager = QueueManager("redis", {"redis": {"driver": "redis"}}, dont_retry=dont_retry)


def is_refused(error: BaseException) -> bool:
    return isinstance(error, Refused)


@pytest.mark.parametrize("dont_retry", [(Refused,), (KeyError, Refused), is_refused])
def test_an_error_that_the_manager_does_not_retry_fails_the_job_at_once(
    bench: Bench, dont_retry: Any
) -> None:
    """K13."""
    managed(bench, dont_retry)
    job_id = bench.put(Fussy())
    again = bench.put(Fussy("value"))
    with hearing() as heard:
        bench.run()
    assert bench.consumer.settled(job_id) == ("fail",)
    assert bench.consumer.settled(again) == ("release", 0.0, 1, 1)
    assert (RUNS, [record.attempts for record in bench.failed.records]) == (["refused"], [1])
    ends = ["JobProcessing", "JobExceptionOccurred", "JobFailed", "JobAttempted"]
    assert names(heard)[:4] == ends


def test_a_classification_that_raises_lets_the_job_be_tried_again(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """K13."""

    def confused(error: BaseException) -> bool:
        raise RuntimeError("who knows")

    managed(bench, confused)
    job_id = bench.put(Fussy())
    bench.run()
    assert bench.consumer.settled(job_id) == ("release", 0.0, 1, 1)
    assert "dont_retry could not tell" in caplog.text


def test_what_the_core_itself_cannot_mend_is_not_retried(bench: Bench) -> None:
    """K13."""
    job_id = bench.put(Fussy("core"))
    bench.run()
    assert bench.consumer.settled(job_id) == ("fail",)


class Late(Job):
    name = "rules.late"
    default_delay = 600

    def handle(self) -> None:
        raise ValueError("no")


@pytest.mark.parametrize("job", [Late(), Late().delay(minutes=20)])
def test_a_delay_is_for_the_first_run_only(bench: Bench, job: Job) -> None:
    """C10."""
    payload = plan_of(Late).encode(job, bench.clock.time(), None)
    assert "backoff" not in decode(payload).options
    job_id = bench.put(job)
    bench.run(tries=3)
    assert bench.consumer.settled(job_id) == ("release", 0.0, 1, 1)


class Tired(Job):
    name = "rules.tired"
    most: int = 2

    def tries(self) -> int:
        return self.most

    def handle(self) -> None:
        raise ValueError("no")


class Plain(Job):
    name = "rules.plain"

    def handle(self) -> None:
        raise ValueError("no")


@pytest.mark.parametrize(
    ("job", "worker", "spent", "end"),
    [
        (Tired(2), {"tries": 9}, 1, "fail"),
        (Tired(3), {"tries": 1}, 1, "release"),
        (Tired(0), {"tries": 1}, 10_000, "release"),
        (Plain(), {}, 0, "fail"),
        (Plain(), {"tries": 2}, 0, "release"),
        (Plain(), {"tries": 0}, 10_000, "release"),
    ],
)
def test_the_job_s_tries_beat_the_worker_s_and_none_is_without_limit(
    bench: Bench, job: Job, worker: dict[str, int], spent: int, end: str
) -> None:
    """K3."""
    job_id = bench.put(job, attempts=spent)
    bench.run(**worker)
    assert bench.consumer.settled(job_id)[0] == end


class Lost:
    def to_reference(self) -> int:
        return 1

    @classmethod
    def from_reference(cls, key: int) -> None:
        return None


class NeedsLost(Job):
    name = "rules.needs-lost"
    lost: Lost

    def handle(self) -> None: ...

    def failed(self, error: BaseException) -> None:
        RUNS.append("told")


def test_a_job_that_cannot_be_made_again_is_settled_all_the_same(bench: Bench) -> None:
    """C51: what is accounted for with the settlement needs no hook and no model."""
    job_id = bench.put(NeedsLost(Lost()))
    other = bench.put(Plain())
    bench.run(tries=5)
    assert bench.consumer.settled(job_id) == ("fail",)
    assert bench.consumer.settled(other) == ("release", 0.0, 1, 1)
    assert [record.error_type for record in bench.failed.records] == ["MissingModel"]
    assert RUNS == []


class Named(Job):
    name = "rules.named"
    tags = ("guests", "mail")
    guest: int = 7

    def display_name(self) -> str:
        return f"Invite guest {self.guest}"

    def handle(self) -> None:
        raise ValueError("no")


def test_events_and_logs_tell_the_name_for_people_and_the_tags(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """K76."""
    bench.put(Named())
    bench.put(Plain())
    with hearing() as heard:
        bench.run()
    told = {(event.job, event.display_name, event.tags) for event in heard}
    assert told == {
        ("rules.named", "Invite guest 7", ("guests", "mail")),
        ("rules.plain", "rules.plain", ()),
    }
    assert "job 'Invite guest 7' raised" in caplog.text


class Store:
    """A service that notes when it is opened and closed."""


class Careful(Job):
    name = "rules.careful"

    def handle(self) -> None:
        raise ValueError("no")

    def failed(self, error: BaseException) -> None:
        self.running().service(Store)
        RUNS.append("failed")


def test_the_services_of_failed_are_closed_too() -> None:
    def store() -> Iterator[Store]:
        RUNS.append("opened")
        yield Store()
        RUNS.append("closed")

    services = svcs.Registry()
    services.register_factory(Store, store)
    bench = Bench(services)
    bench.put(Careful())
    bench.run()
    assert RUNS == ["opened", "failed", "closed"]
