"""The jobs that keep the queues in order."""

from contextlib import closing

import pytest

import onqueue
from onqueue import Job, events
from onqueue.contracts import Message
from onqueue.errors import ConfigurationError, UnknownConnection
from onqueue.failed import MemoryFailedJobs
from onqueue.schedule.jobs import (
    MonitorQueues,
    PruneBatches,
    PruneFailedJobs,
    PruneOutbox,
    PruneSchedule,
)
from onqueue.stores import FailedJob
from onqueue.testing import FakeClock
from support.outbox_records import job_id
from support.schedule_rig import Note, ScheduleRig, schedule_rig


def run(rig: ScheduleRig, job: Job) -> None:
    """Run a job of the rig here and now."""
    with onqueue.using(rig.manager):
        job.dispatch_sync()


def test_old_failed_jobs_are_deleted(redis_url: str) -> None:
    clock = FakeClock()
    failed = MemoryFailedJobs(clock)
    failed.record(_failed(1, clock))
    clock.advance(25 * 3600)
    failed.record(_failed(2, clock))
    with schedule_rig(redis_url, failed=failed) as rig:
        run(rig, PruneFailedJobs(hours=24))
    assert [job.id for job in failed.all()] == [job_id(2)]


def _failed(number: int, clock: FakeClock) -> FailedJob:
    return FailedJob(
        job_id(number), "redis", "default", "Note", b"{}", "ValueError", "", "", 1, clock.now()
    )


def test_the_history_is_pruned_and_entries_that_are_gone_are_forgotten(rig: ScheduleRig) -> None:
    rig.schedule.job(Note).hourly()
    rig.look("2026-03-01T07:59")
    rig.look("2026-03-01T08:00")
    rig.be_at("2026-05-01T08:00")
    run(rig, PruneSchedule(days=30))
    assert rig.history("Note") == []
    with closing(rig.queue.schedules()) as store:
        assert store.known() == ["Note"]


def test_batches_that_ended_long_ago_are_forgotten(redis_url: str) -> None:
    clock = FakeClock()
    with schedule_rig(redis_url, clock=clock) as rig:
        rig.be_at(clock.now().isoformat())
        with onqueue.using(rig.manager):
            ended = onqueue.batch([]).name("ended").dispatch()
            waiting = onqueue.batch([Note()]).name("waiting").dispatch()
        clock.advance(25 * 3600)
        run(rig, PruneBatches(hours=24))
        with onqueue.using(rig.manager):
            assert onqueue.find_batch(ended.id) is None
            assert onqueue.find_batch(waiting.id) is not None
        run(rig, PruneBatches(hours=24, unfinished_hours=24))
        with onqueue.using(rig.manager):
            assert onqueue.find_batch(waiting.id) is None


def test_without_an_outbox_there_is_nothing_to_prune(rig: ScheduleRig) -> None:
    run(rig, PruneOutbox())


def test_the_monitor_tells_a_long_queue_once(rig: ScheduleRig) -> None:
    rig.queue.push_many([Message(job_id(number), "default", b"{}") for number in range(5)])
    heard: list[events.QueueBusy] = []
    with events.queue_busy.connected_to(heard.append):
        for _ in range(2):
            run(rig, MonitorQueues(["redis:default", "other"], most=5))
    assert [(event.connection, event.queue) for event in heard] == [("redis", "default")]


def test_a_monitor_of_nothing_or_of_an_unknown_connection_fails(rig: ScheduleRig) -> None:
    with pytest.raises(ConfigurationError, match="no queues to look at"):
        run(rig, MonitorQueues([]))
    with pytest.raises(UnknownConnection, match="'redsi'"):
        run(rig, MonitorQueues(["redsi:default"]))
