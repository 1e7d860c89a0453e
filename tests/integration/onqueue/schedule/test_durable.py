"""Ticks whose jobs go through the outbox."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from onqueue import Job
from onqueue.errors import BrokerUnavailable
from onqueue.outbox import SqlOutbox, create_all
from onqueue.schedule.sending import TickSender
from support.schedule_rig import ScheduleRig, schedule_rig
from support.sql_engines import sqlite_engine


class DebitDaily(Job):
    """A job that survives the broker."""

    durable = True

    def handle(self) -> None: ...


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = sqlite_engine(tmp_path / "test.db")
    create_all(made)
    yield made
    made.dispose()


@pytest.fixture
def outbox(engine: Engine) -> SqlOutbox:
    return SqlOutbox(engine)


@pytest.fixture
def rig(redis_url: str, outbox: SqlOutbox) -> Iterator[ScheduleRig]:
    with schedule_rig(redis_url, outbox=outbox) as made:
        yield made


def test_a_durable_job_is_in_the_outbox_under_its_tick_s_id(
    rig: ScheduleRig, outbox: SqlOutbox
) -> None:
    rig.schedule.job(DebitDaily).hourly()
    rig.look("2026-03-01T07:59")
    rig.look("2026-03-01T08:00")
    (record,) = rig.history("DebitDaily")
    assert outbox.state(record.job) == "dispatched"
    assert rig.waiting() == 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_durable_tick_that_was_cut_is_finished_by_the_next_leader_and_counts_once(
    rig: ScheduleRig, outbox: SqlOutbox, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """B9."""
    rig.schedule.job(DebitDaily).hourly()
    rig.look("2026-03-01T07:59")
    whole = TickSender.send_once

    def cut(sender: TickSender, admission: object) -> str:
        if moment == "after":
            whole(sender, admission)  # type: ignore[arg-type]
        raise BrokerUnavailable("redis", "nowhere", "the leader died here")

    with monkeypatch.context() as patched:
        patched.setattr(TickSender, "send_once", cut)
        rig.look("2026-03-01T08:00")
    assert rig.told("DebitDaily") == []
    rig.schedulers.pop().close()
    rig.look("2026-03-01T08:00:30")
    assert rig.told("DebitDaily") == [("01 08:00", "ran", "")]
    assert rig.waiting() == 1
    assert outbox.counts() == {"dispatched": 1}
