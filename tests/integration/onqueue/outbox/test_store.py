"""Rows of the outbox: their states, and who may change them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import IntegrityError

from onqueue.contracts import Message
from onqueue.outbox import SqlOutbox
from onqueue.outbox.store import deferred_marks
from onqueue.testing.clock import FakeClock
from support.outbox_records import job_id, job_ids, record, records


def test_a_row_comes_back_as_it_was_written(outbox: SqlOutbox, clock: FakeClock) -> None:
    message = Message(job_id(1), "mails", b"\x00\xff payload", delay=90.0)
    outbox.add(None, message, connection_name="redis", job="SendMail", tenant="acme", durable=True)
    [found] = outbox.pending(10, older_than=0)
    assert (found.id, found.connection, found.queue) == (job_id(1), "redis", "mails")
    assert (found.job, found.payload, found.tenant) == ("SendMail", b"\x00\xff payload", "acme")
    assert found.available_at == clock.now() + timedelta(seconds=90)
    assert (found.durable, found.pushes) == (True, 0)


def test_rows_are_pending_only_after_the_grace(outbox: SqlOutbox, clock: FakeClock) -> None:
    outbox.add_many(None, records(1))
    clock.advance(0.9)
    assert outbox.pending(10, older_than=1) == []
    clock.advance(0.2)
    assert [job.id for job in outbox.pending(10, older_than=1)] == job_ids(1)


def test_rows_of_one_statement_keep_their_order(outbox: SqlOutbox) -> None:
    numbers = [9, 2, 7, 1, 8]
    outbox.add_many(None, [record(number) for number in numbers])
    assert [job.id for job in outbox.pending(10, older_than=0)] == list(map(job_id, numbers))


def test_nothing_to_write_is_no_error(outbox: SqlOutbox) -> None:
    outbox.add_many(None, [])
    outbox.mark_dispatched([])
    assert outbox.counts() == {}


def test_the_same_id_twice_is_refused_and_writes_nothing(outbox: SqlOutbox) -> None:
    outbox.add_many(None, records(1))
    with pytest.raises(IntegrityError):
        outbox.add_many(None, [record(2), record(1)])
    assert outbox.counts() == {"pending": 1}


def test_a_dispatched_row_goes_unless_it_is_durable(outbox: SqlOutbox) -> None:
    outbox.add_many(None, [record(1), record(2, durable=True), record(3)])
    outbox.mark_dispatched([job_id(1), job_id(2)])
    assert [outbox.state(job_id(number)) for number in (1, 2, 3)] == [None, "dispatched", "pending"]


def test_an_outcome_written_before_the_mark_stays(outbox: SqlOutbox) -> None:
    outbox.add_many(None, records(1, durable=True))
    outbox.mark_outcome(job_id(1), "done")
    outbox.mark_dispatched([job_id(1)])
    assert outbox.state(job_id(1)) == "done"


def test_done_is_final_and_failed_is_not(outbox: SqlOutbox) -> None:
    outbox.add_many(None, records(2, durable=True))
    outbox.mark_outcome(job_id(1), "done")
    outbox.mark_outcome(job_id(1), "failed")
    outbox.mark_outcome(job_id(2), "failed")
    outbox.mark_outcome(job_id(2), "done")
    assert outbox.counts() == {"done": 2}


def test_a_row_that_is_not_durable_has_no_outcome(outbox: SqlOutbox) -> None:
    outbox.add_many(None, records(1))
    outbox.mark_outcome(job_id(1), "done")
    assert outbox.state(job_id(1)) == "pending"


def test_an_unknown_id_is_no_error(outbox: SqlOutbox) -> None:
    outbox.mark_outcome(job_id(1), "done")
    outbox.mark_dispatched([job_id(1)])
    assert outbox.state(job_id(1)) is None


def test_only_a_failed_row_is_opened_again(outbox: SqlOutbox) -> None:
    outbox.add_many(None, records(2, durable=True))
    outbox.mark_outcome(job_id(1), "failed")
    outbox.mark_outcome(job_id(2), "done")
    assert [outbox.revive(one) for one in job_ids(3)] == [True, False, False]
    assert [outbox.state(one) for one in job_ids(3)] == ["dispatched", "done", None]


def test_prune_removes_old_ended_rows_only(outbox: SqlOutbox, clock: FakeClock) -> None:
    outbox.add_many(None, records(4, durable=True))
    outbox.mark_dispatched([job_id(3)])
    outbox.mark_outcome(job_id(1), "done")
    clock.advance(100)
    outbox.mark_outcome(job_id(2), "failed")
    assert outbox.prune(older_than=50) == 1
    assert outbox.counts() == {"failed": 1, "dispatched": 1, "pending": 1}


def test_discard_removes_open_rows_only(outbox: SqlOutbox) -> None:
    outbox.add_many(None, records(3, durable=True))
    outbox.mark_dispatched([job_id(1)])
    outbox.mark_outcome(job_id(3), "done")
    assert outbox.discard(job_ids(4)) == 2
    assert outbox.counts() == {"done": 1}


def test_discard_may_be_held_to_one_connection(outbox: SqlOutbox) -> None:
    outbox.add_many(None, [record(1, connection="redis"), record(2, connection="redis-long")])
    assert outbox.discard(job_ids(2), "redis") == 1
    assert [outbox.state(one) for one in job_ids(2)] == [None, "pending"]


def test_two_who_claim_get_different_rows(outbox: SqlOutbox) -> None:
    outbox.add_many(None, records(5))
    first = outbox.claim(3, older_than=0, hold=30)
    second = outbox.claim(3, older_than=0, hold=30)
    assert [job.id for job in first + second] == job_ids(5)
    assert outbox.claim(3, older_than=0, hold=30) == []


def test_claims_made_at_the_same_time_never_overlap(outbox: SqlOutbox) -> None:
    outbox.add_many(None, records(400))
    taken: list[str] = []

    def drain(_: int) -> list[str]:
        mine: list[str] = []
        # Empty-handed may also mean that another was faster with the same rows.
        while len(taken) < 400:
            claimed = [job.id for job in outbox.claim(20, older_than=0, hold=30)]
            taken.extend(claimed)
            mine += claimed
        return mine

    with ThreadPoolExecutor(4) as pool:
        shares = list(pool.map(drain, range(4)))
    assert sorted(one for share in shares for one in share) == job_ids(400)


def test_a_claim_ends_by_itself(outbox: SqlOutbox, clock: FakeClock) -> None:
    outbox.add_many(None, records(2))
    outbox.claim(2, older_than=0, hold=30)
    clock.advance(31)
    assert [job.id for job in outbox.claim(2, older_than=0, hold=30)] == job_ids(2)


def test_a_claim_given_back_is_free_at_once_or_later(outbox: SqlOutbox, clock: FakeClock) -> None:
    outbox.add_many(None, records(2))
    outbox.claim(2, older_than=0, hold=30)
    outbox.unclaim([job_id(1)])
    outbox.unclaim([job_id(2)], hold=60)
    assert [job.id for job in outbox.claim(2, older_than=0, hold=1)] == [job_id(1)]
    clock.advance(61)
    assert [job.id for job in outbox.claim(2, older_than=0, hold=1)] == job_ids(2)


def test_a_claim_passes_connections_over(outbox: SqlOutbox) -> None:
    outbox.add_many(None, [record(1, connection="away"), record(2)])
    assert [job.id for job in outbox.claim(9, older_than=0, hold=1, without=["away"])] == [
        job_id(2)
    ]


def test_one_lost_row_is_claimed_once(outbox: SqlOutbox, clock: FakeClock) -> None:
    outbox.add_many(None, records(2, durable=True))
    outbox.mark_dispatched(job_ids(2))
    clock.advance(31)
    outbox.mark_outcome(job_id(2), "done")
    first = outbox.claim_lost(job_ids(2), older_than=30)
    assert [(job.id, job.pushes) for job in first] == [(job_id(1), 2)]
    assert outbox.claim_lost(job_ids(2), older_than=30) == []


def test_marks_made_inside_the_block_are_written_together(
    outbox: SqlOutbox, engine: Engine
) -> None:
    outbox.add_many(None, records(50))
    commits: list[object] = []
    event.listen(engine, "commit", commits.append)
    with deferred_marks():
        for one in job_ids(50):
            outbox.mark_dispatched([one])
        assert commits == []
    assert len(commits) == 1
    assert outbox.counts() == {}


def test_ten_thousand_rows_are_few_statements(outbox: SqlOutbox, engine: Engine) -> None:
    statements: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def _count(_c: object, _k: object, sql: str, _p: object, _x: object, _m: object) -> None:
        statements.append(sql)

    outbox.add_many(None, records(10_000))
    assert sum(sql.startswith("INSERT") for sql in statements) == 1
    outbox.mark_dispatched(job_ids(10_000))
    assert len([sql for sql in statements if sql.startswith(("DELETE", "UPDATE"))]) == 40
    assert outbox.counts() == {}
