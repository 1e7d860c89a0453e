"""What every failed store owes: a failure is kept, found, forgotten, and brought back once."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from onqueue.contracts import FailedJob, FailedJobs
from onqueue.errors import BrokerUnavailable
from onqueue.failed import MemoryFailedJobs, NullFailedJobs
from onqueue.failed.database import DatabaseFailedJobs
from onqueue.failed.tables import create_all
from onqueue.testing.clock import START, FakeClock
from support.outbox_records import job_id
from support.sql_engines import database_url, engine_for


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock
) -> Iterator[MemoryFailedJobs | DatabaseFailedJobs]:
    if request.param == "memory":
        yield MemoryFailedJobs(clock)
        return
    engine: Engine = engine_for(database_url(request, request.param, tmp_path))
    create_all(engine)
    yield DatabaseFailedJobs(engine, clock)
    engine.dispose()


def failure(number: int, *, queue: str = "default", attempts: int = 3, age: float = 0) -> FailedJob:
    return FailedJob(
        id=job_id(number),
        connection="redis",
        queue=queue,
        job="SendMail",
        payload=b'{"v":1}\x00\xff',
        error_type="builtins.ValueError",
        error=f"no such mail {number}",
        traceback='  File "/srv/mail.py", line 12, in send\nValueError',
        attempts=attempts,
        failed_at=START - timedelta(seconds=age),
        tenant="acme",
    )


def failures_of(store: MemoryFailedJobs | DatabaseFailedJobs, number: int) -> list[str]:
    if isinstance(store, MemoryFailedJobs):
        return [failed.error for failed in store.history(job_id(number))]
    return [entry.error for entry in store.failures(job_id(number))]


Store = MemoryFailedJobs | DatabaseFailedJobs


def accept(_failed: FailedJob, _token: str) -> bool:
    return True


def test_a_failure_is_found_as_it_was_recorded(store: Store) -> None:
    store.record(failure(1))
    assert store.find(job_id(1)) == failure(1)
    assert store.find(job_id(2)) is None


def test_recording_twice_for_one_attempt_is_harmless(store: Store) -> None:
    store.record(failure(1))
    store.record(replace(failure(1), error="told again by another"))
    assert store.find(job_id(1)) == failure(1)
    assert failures_of(store, 1) == ["no such mail 1"]


def test_a_failure_at_another_attempt_is_kept_beside_the_first(store: Store) -> None:
    """C82."""
    store.record(failure(1))
    store.record(replace(failure(1, attempts=4), error="another reason"))
    assert failures_of(store, 1) == ["no such mail 1", "another reason"]
    assert store.find(job_id(1)) == replace(failure(1, attempts=4), error="another reason")


def test_a_failure_after_a_retry_is_kept_also_at_the_same_attempt(store: Store) -> None:
    store.record(failure(1))
    assert store.retry(job_id(1), accept)
    store.record(replace(failure(1), error="again"))
    assert failures_of(store, 1) == ["no such mail 1", "again"]


def test_the_newest_come_first_and_pages_follow_each_other(store: Store) -> None:
    for number in range(1, 8):
        # Two by two at the same instant: then the id decides.
        store.record(failure(number, age=number // 2))
    everything = [failed.id for failed in store.all()]
    assert everything == [job_id(number) for number in (1, 3, 2, 5, 4, 7, 6)]
    pages, after = [], None
    while page := store.all(limit=2, after=after):
        pages += [failed.id for failed in page]
        after = page[-1].id
    assert pages == everything


def test_a_page_after_an_unknown_job_is_empty(store: Store) -> None:
    store.record(failure(1))
    assert store.all(after=job_id(9)) == []


def test_one_queue_is_listed_alone(store: Store) -> None:
    store.record(failure(1, queue="mails"))
    store.record(failure(2))
    assert [failed.id for failed in store.all(queue="mails")] == [job_id(1)]


def test_forget_deletes_one_with_its_history(store: Store) -> None:
    store.record(failure(1))
    store.record(failure(2))
    assert store.forget(job_id(1))
    assert not store.forget(job_id(1))
    assert [failed.id for failed in store.all()] == [job_id(2)]
    assert failures_of(store, 1) == []


def test_flush_deletes_all_or_the_old_ones(store: Store) -> None:
    """K83."""
    for number, age in ((1, 7200), (2, 3500), (3, 0)):
        store.record(failure(number, age=age))
    assert store.flush(older_than=3600) == 1
    assert [failed.id for failed in store.all()] == [job_id(3), job_id(2)]
    assert store.flush() == 2
    assert store.all() == []


def test_a_retry_pushes_and_deletes(store: Store) -> None:
    pushed: list[FailedJob] = []

    def push(failed: FailedJob, token: str) -> bool:
        pushed.append(failed)
        return bool(token)

    store.record(failure(1))
    assert store.retry(job_id(1), push)
    assert pushed == [failure(1)]
    assert store.find(job_id(1)) is None
    assert not store.retry(job_id(1), push)


def test_a_push_that_is_known_already_counts_as_done(store: Store) -> None:
    store.record(failure(1))
    assert store.retry(job_id(1), lambda _failed, _token: False)
    assert store.find(job_id(1)) is None


def test_a_retry_that_could_not_push_keeps_the_job_and_its_token(store: Store) -> None:
    tokens: list[str] = []

    def push(_failed: FailedJob, token: str) -> bool:
        tokens.append(token)
        if len(tokens) == 1:
            raise BrokerUnavailable("redis", "nowhere", "gone")
        return True

    store.record(failure(1))
    with pytest.raises(BrokerUnavailable):
        store.retry(job_id(1), push)
    assert store.find(job_id(1)) == failure(1)
    assert store.retry(job_id(1), push)
    assert tokens[0] == tokens[1]


def test_two_retries_of_two_failures_have_two_tokens(store: Store) -> None:
    tokens: list[str] = []

    def push(_failed: FailedJob, token: str) -> bool:
        tokens.append(token)
        return True

    for _ in range(2):
        store.record(failure(1))
        store.retry(job_id(1), push)
    assert tokens[0] != tokens[1]


def test_a_job_that_fails_again_before_its_retry_ends_stays(store: Store) -> None:
    def push(_failed: FailedJob, _token: str) -> bool:
        # A quick worker: the job ran and failed before the retry could delete it.
        store.record(replace(failure(1), error="again"))
        return True

    store.record(failure(1))
    assert store.retry(job_id(1), push)
    found = store.find(job_id(1))
    assert found is not None and found.error == "again"
    assert failures_of(store, 1) == ["no such mail 1", "again"]


def test_two_retries_at_once_push_under_one_token(store: Store) -> None:
    tokens: list[str] = []

    def outer(_failed: FailedJob, token: str) -> bool:
        tokens.append(token)
        assert store.retry(job_id(1), inner)
        return True

    def inner(_failed: FailedJob, token: str) -> bool:
        tokens.append(token)
        return True

    store.record(failure(1))
    assert store.retry(job_id(1), outer)
    assert tokens[0] == tokens[1]
    assert store.all() == []


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.record(failure(1)) or store.all(),
        lambda store: store.find(job_id(1)),
        lambda store: store.forget(job_id(1)),
        lambda store: store.flush(),
        lambda store: store.retry(job_id(1), accept),
    ],
    ids=["all", "find", "forget", "flush", "retry"],
)
def test_the_null_store_has_nothing(call: Callable[[FailedJobs], object]) -> None:
    assert not call(NullFailedJobs())


def test_text_that_a_database_refuses_is_recorded_nevertheless(store: Store) -> None:
    store.record(replace(failure(1), error="a\x00b\ud800", error_type="E" * 400))
    found = store.find(job_id(1))
    assert found is not None and found.error.startswith("a")
    assert failures_of(store, 1) == [found.error]
