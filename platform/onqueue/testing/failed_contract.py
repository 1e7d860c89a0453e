"""What every failed store must do, as tests: a store's own tests subclass `FailedContract`.

A subclass gives the fixture `make_store`: a function that takes a clock and returns an empty store.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any, TypeAlias

import pytest

from onqueue.errors import BrokerUnavailable, EditConflict, RetryRefused
from onqueue.stores import FailedFilter, FailedJob, FailedJobs, PayloadEdit
from onqueue.testing.clock import START, FakeClock

MakeStore: TypeAlias = Callable[[FakeClock], FailedJobs]

PAYLOAD = b'{"v":1}\x00\xff'
EDIT = PayloadEdit(PAYLOAD, b'{"v":1,"data":{"mail":8}}')


def job_id(number: int) -> str:
    """Return the id of the job of a number."""
    return f"{number:032x}"


def failure(number: int, *, age: float = 0, **more: Any) -> FailedJob:
    """Return a failure `age` seconds before the clock's start."""
    failed = FailedJob(
        id=job_id(number),
        connection="redis",
        queue="default",
        job="SendMail",
        payload=PAYLOAD,
        error_type="ValueError",
        error=f"no such mail {number}",
        traceback='  File "/srv/mail.py", line 12, in send\nValueError',
        attempts=3,
        failed_at=START - timedelta(seconds=age),
        tenant="acme",
    )
    return replace(failed, **more)


def accept(failed: FailedJob, token: str) -> bool:
    """Push to nowhere."""
    return bool(failed.id and token)


class FailedContract:
    """A failure is kept, found, forgotten, and brought back once."""

    @pytest.fixture
    def clock(self) -> FakeClock:
        """The store's clock."""
        return FakeClock()

    @pytest.fixture
    def store(self, make_store: MakeStore, clock: FakeClock) -> FailedJobs:
        """An empty store."""
        return make_store(clock)

    # ---- writing down ----

    def test_a_failure_is_found_as_it_was_recorded(self, store: FailedJobs) -> None:
        """Bytes, tags and all."""
        store.record(failure(1, tags=("vip", 'with "quotes"')))
        assert store.find(job_id(1)) == failure(1, tags=("vip", 'with "quotes"'))
        assert store.find(job_id(2)) is None

    def test_recording_twice_for_one_attempt_is_harmless(self, store: FailedJobs) -> None:
        """The first stays."""
        store.record(failure(1))
        store.record(failure(1, error="told again by another"))
        assert store.find(job_id(1)) == failure(1)
        assert errors_of(store, 1) == ["no such mail 1"]

    def test_a_second_failure_of_one_id_is_kept_beside_the_first(self, store: FailedJobs) -> None:
        """C82: the log only grows, and the newest is the one that is shown."""
        store.record(failure(1))
        store.record(failure(1, attempts=4, error="another reason"))
        assert errors_of(store, 1) == ["no such mail 1", "another reason"]
        assert [entry.failure for entry in store.failures(job_id(1))] == [1, 2]
        assert store.find(job_id(1)) == failure(1, attempts=4, error="another reason")

    def test_a_failure_after_a_retry_is_kept_also_at_the_same_attempt(
        self, store: FailedJobs
    ) -> None:
        """C82: the log outlives the retry."""
        store.record(failure(1))
        assert store.retry(job_id(1), accept)
        assert errors_of(store, 1) == ["no such mail 1"]
        store.record(failure(1, error="again"))
        assert errors_of(store, 1) == ["no such mail 1", "again"]

    def test_text_that_a_database_refuses_is_recorded_nevertheless(self, store: FailedJobs) -> None:
        """C82: what the error quotes does not lose the job."""
        store.record(failure(1, error="a\x00b\ud800", error_type="E" * 400, payload=b"no json"))
        found = store.find(job_id(1))
        assert found is not None
        assert found.error.startswith("a")
        assert found.payload == b"no json"
        assert errors_of(store, 1) == [found.error]

    # ---- looking ----

    def test_the_newest_come_first_and_pages_follow_each_other(self, store: FailedJobs) -> None:
        """Two by two at the same instant: then the id decides."""
        for number in range(1, 8):
            store.record(failure(number, age=number // 2))
        everything = [failed.id for failed in store.all()]
        assert everything == [job_id(number) for number in (1, 3, 2, 5, 4, 7, 6)]
        pages, after = [], None
        while page := store.all(limit=2, after=after):
            pages += [failed.id for failed in page]
            after = page[-1].id
        assert pages == everything

    def test_a_page_after_an_unknown_job_is_empty(self, store: FailedJobs) -> None:
        """It does not begin anew."""
        store.record(failure(1))
        assert store.all(after=job_id(9)) == []

    @pytest.mark.parametrize(
        ("wanted", "numbers"),
        [
            (FailedFilter(), [1, 2, 3, 4]),
            (FailedFilter(queue="mails"), [2]),
            (FailedFilter(connection="other"), [3]),
            (FailedFilter(job="Report"), [4]),
            (FailedFilter(tenant="umbrella"), [3]),
            (FailedFilter(tag="vip"), [2, 3]),
            (FailedFilter(tag="VI"), []),
            (FailedFilter(tag="Vip"), []),
            (FailedFilter(error="KEYERR"), [4]),
            (FailedFilter(error="mail 1"), [1]),
            (FailedFilter(error="2 mai ValueErr"), [2]),
            (FailedFilter(error="error"), [1, 2, 3, 4]),
            (FailedFilter(error="eyerr"), []),
            (FailedFilter(error="100%"), []),
            (FailedFilter(error="%_*"), []),
            (FailedFilter(error="mail", queue="mails"), [2]),
            (FailedFilter(error="mail", tag="vip", until=START - timedelta(seconds=25)), [3]),
            (FailedFilter(since=START - timedelta(seconds=20)), [1, 2]),
            (FailedFilter(until=START - timedelta(seconds=20)), [2, 3, 4]),
            (FailedFilter(tag="vip", tenant="acme", since=START - timedelta(hours=1)), [2]),
        ],
        ids=str,
    )
    def test_a_filter_leaves_what_fits_all_of_it(
        self, store: FailedJobs, wanted: FailedFilter, numbers: list[int]
    ) -> None:
        """B15: by connection, queue, job, tenant, tag, error and time; page by page."""
        store.record(failure(1, age=10))
        store.record(failure(2, age=20, queue="mails", tags=("vip", "big")))
        store.record(failure(3, age=30, connection="other", tenant="umbrella", tags=("vip",)))
        store.record(failure(4, age=40, job="Report", error_type="KeyError", tenant=None))
        assert [failed.id for failed in store.all(wanted)] == [job_id(n) for n in numbers]
        assert store.count(wanted) == len(numbers)
        assert sum(group.count for group in store.groups(wanted)) == len(numbers)
        for before, after in pairwise(numbers):
            page = store.all(wanted, limit=1, after=job_id(before))
            assert [failed.id for failed in page] == [job_id(after)]

    def test_more_words_than_can_be_looked_for_are_an_error(self, store: FailedJobs) -> None:
        """B15: sixteen are the most."""
        store.record(failure(1))
        most = " ".join(f"mail such w{number}" for number in range(14))
        assert store.all(FailedFilter(error=most)) == []
        wanted = FailedFilter(error=f"{most} other")
        for look in (store.all, store.count, store.groups):
            with pytest.raises(ValueError, match="17 words are looked for"):
                look(wanted)

    def test_a_job_is_found_by_its_newest_failure_and_by_none_when_it_is_gone(
        self, store: FailedJobs, clock: FakeClock
    ) -> None:
        """B15: forgotten, flushed or brought back."""
        old, new = FailedFilter(error="mail"), FailedFilter(error="letter", tag="vip")
        for number in range(1, 5):
            store.record(failure(number))
            store.record(failure(number, attempts=4, error="no such letter", tags=("vip",)))
        assert (store.count(old), store.count(new)) == (0, 4)
        assert len(store.all(new)) == 4
        store.forget(job_id(1))
        assert store.retry(job_id(2), accept)
        assert (store.count(new), len(store.all(new))) == (2, 2)
        clock.advance(7200)
        store.record(failure(3, attempts=5, error="a new letter", tags=("vip",), age=-7200))
        store.flush(older_than=3600)
        assert (store.count(new), len(store.all(new))) == (1, 1)
        store.flush()
        assert (store.count(new), store.all(new)) == (0, [])

    def test_failures_of_one_cause_are_one_group(self, store: FailedJobs) -> None:
        """B14: the largest group first, told by its newest failure."""
        for number in range(1, 8):
            store.record(failure(number, age=number))
        for number in range(8, 11):
            store.record(failure(number, age=number, error_type="KeyError", error="'mail'"))
        store.record(failure(11, error="no such thing"))
        groups = store.groups()
        assert [group.count for group in groups] == [7, 3, 1]
        first = groups[0]
        assert (first.job, first.error, first.newest) == ("SendMail", "no such mail 1", job_id(1))
        assert first.last_at - first.first_at == timedelta(seconds=6)
        assert store.groups(limit=2) == groups[:2]
        found = store.find(job_id(8))
        assert found is not None
        assert found.fingerprint == groups[1].fingerprint
        for part in (found.fingerprint, found.fingerprint[:12]):
            wanted = FailedFilter(group=part)
            assert [failed.id for failed in store.all(wanted)] == [job_id(n) for n in (8, 9, 10)]
            assert store.groups(wanted) == [groups[1]]

    # ---- deleting ----

    def test_forget_deletes_one_with_its_log(self, store: FailedJobs) -> None:
        """K83."""
        store.record(failure(1))
        store.record(failure(2))
        assert store.forget(job_id(1))
        assert not store.forget(job_id(1))
        assert [failed.id for failed in store.all()] == [job_id(2)]
        assert store.failures(job_id(1)) == []

    def test_flush_deletes_all_or_the_old_ones(self, store: FailedJobs) -> None:
        """K83."""
        for number, age in ((1, 7200), (2, 3500), (3, 0)):
            store.record(failure(number, age=age))
        assert store.flush(older_than=3600) == 1
        assert [failed.id for failed in store.all()] == [job_id(3), job_id(2)]
        assert store.failures(job_id(1)) == []
        assert store.flush() == 2
        assert store.all() == []

    def test_a_flush_by_age_leaves_what_is_being_retried(self, store: FailedJobs) -> None:
        """K83: an interrupted retry can be ended."""
        store.record(failure(1, age=7200))
        with pytest.raises(BrokerUnavailable):
            store.retry(job_id(1), away)
        assert store.flush(older_than=3600) == 0
        assert store.retry(job_id(1), accept)

    # ---- bringing back ----

    def test_a_retry_pushes_and_deletes(self, store: FailedJobs) -> None:
        """C81: in this order, so that no crash loses the job."""
        pushed: list[FailedJob] = []

        def push(failed: FailedJob, token: str) -> bool:
            pushed.append(failed)
            assert store.find(job_id(1)) is not None
            return bool(token)

        store.record(failure(1))
        assert store.retry(job_id(1), push)
        assert pushed == [failure(1)]
        assert store.find(job_id(1)) is None
        assert not store.retry(job_id(1), push)

    def test_a_push_that_is_known_already_counts_as_done(self, store: FailedJobs) -> None:
        """C81: a retry that was interrupted after its push is ended by its repetition."""
        store.record(failure(1))
        assert store.retry(job_id(1), lambda _failed, _token: False)
        assert store.find(job_id(1)) is None

    def test_a_retry_that_could_not_push_keeps_the_job_and_its_token(
        self, store: FailedJobs
    ) -> None:
        """C81: the push may have arrived, so the next one must be refused as the same."""
        tokens: list[str] = []

        def push(_failed: FailedJob, token: str) -> bool:
            tokens.append(token)
            if len(tokens) == 1:
                raise BrokerUnavailable("redis", "nowhere", "gone")
            return True

        store.record(failure(1))
        with pytest.raises(BrokerUnavailable):
            store.retry(job_id(1), push)
        found = store.find(job_id(1))
        assert found == failure(1)
        assert found.is_retrying
        assert store.retry(job_id(1), push)
        assert tokens[0] == tokens[1]

    def test_two_retries_of_two_failures_have_two_tokens(self, store: FailedJobs) -> None:
        """C81: otherwise the second would be refused."""
        tokens: list[str] = []

        def push(_failed: FailedJob, token: str) -> bool:
            tokens.append(token)
            return True

        for _ in range(2):
            store.record(failure(1))
            store.retry(job_id(1), push)
        assert tokens[0] != tokens[1]

    def test_a_job_that_fails_again_before_its_retry_ends_stays(self, store: FailedJobs) -> None:
        """C81: a quick worker ran it before the retry could delete it."""

        def push(_failed: FailedJob, _token: str) -> bool:
            store.record(failure(1, error="again"))
            return True

        store.record(failure(1))
        assert store.retry(job_id(1), push)
        found = store.find(job_id(1))
        assert found is not None
        assert found.error == "again"
        assert not found.is_retrying
        assert errors_of(store, 1) == ["no such mail 1", "again"]

    def test_two_retries_at_once_push_under_one_token(self, store: FailedJobs) -> None:
        """C81: the broker takes one of them."""
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

    def test_a_job_whose_queue_does_not_take_it_is_as_before(self, store: FailedJobs) -> None:
        """C58: nothing was pushed, so nothing has begun."""

        def push(failed: FailedJob, _token: str) -> bool:
            raise RetryRefused(failed.id, "another has its lock")

        store.record(failure(1))
        with pytest.raises(RetryRefused):
            store.retry(job_id(1), push)
        found = store.find(job_id(1))
        assert found == failure(1)
        assert not found.is_retrying

    # ---- changing before it is brought back ----

    def test_a_changed_payload_is_pushed_and_the_old_one_kept(
        self, store: FailedJobs, clock: FakeClock
    ) -> None:
        """B14."""
        pushed: list[bytes] = []

        def push(failed: FailedJob, _token: str) -> bool:
            pushed.append(failed.payload)
            return True

        store.record(failure(1))
        assert store.retry(job_id(1), push, EDIT)
        assert pushed == [EDIT.after]
        assert store.edits(job_id(1)) == [replace(EDIT, edited_at=clock.now())]
        store.record(failure(1, payload=EDIT.after))
        store.forget(job_id(1))
        assert store.edits(job_id(1)) == []

    def test_a_change_whose_push_failed_stays_and_may_be_repeated(self, store: FailedJobs) -> None:
        """B14: it is made once."""
        store.record(failure(1))
        with pytest.raises(BrokerUnavailable):
            store.retry(job_id(1), away, EDIT)
        found = store.find(job_id(1))
        assert found is not None
        assert found.payload == EDIT.after
        assert store.retry(job_id(1), accept, EDIT)
        assert len(store.edits(job_id(1))) == 1

    def test_what_is_being_retried_cannot_be_changed(self, store: FailedJobs) -> None:
        """B14: the unchanged job may be on its queue already."""
        store.record(failure(1))
        with pytest.raises(BrokerUnavailable):
            store.retry(job_id(1), away)
        with pytest.raises(EditConflict, match="is being retried already, or was changed"):
            store.retry(job_id(1), accept, EDIT)
        assert store.find(job_id(1)) == failure(1)
        assert store.edits(job_id(1)) == []

    def test_a_payload_that_is_another_one_by_now_is_not_changed(self, store: FailedJobs) -> None:
        """B14: nobody's change is overwritten unseen."""
        store.record(failure(1, payload=b"{}"))
        with pytest.raises(EditConflict):
            store.retry(job_id(1), accept, EDIT)
        found = store.find(job_id(1))
        assert found is not None
        assert found.payload == b"{}"
        assert not found.is_retrying
        assert not store.retry(job_id(2), accept, EDIT)

    def test_a_flush_deletes_old_changes_too(self, store: FailedJobs, clock: FakeClock) -> None:
        """K83."""
        store.record(failure(1))
        assert store.retry(job_id(1), accept, EDIT)
        clock.advance(7200)
        store.flush(older_than=3600)
        assert store.edits(job_id(1)) == []


def away(_failed: FailedJob, _token: str) -> bool:
    """Push to a broker that is away."""
    raise BrokerUnavailable("redis", "nowhere", "gone")


def errors_of(store: FailedJobs, number: int) -> list[str]:
    """Return the messages in a job's log."""
    return [entry.error for entry in store.failures(job_id(number))]
