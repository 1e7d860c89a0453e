"""What becomes of ticks on a real broker whose clock is moved by hand."""

import json
import logging

import pytest

from onqueue import Job, events
from onqueue.errors import BrokerUnavailable
from onqueue.payload import decode
from support.schedule_rig import Note, ScheduleRig


def test_a_new_entry_is_due_from_now_on_and_then_at_each_tick_once(rig: ScheduleRig) -> None:
    """B9."""
    rig.schedule.job(Note).hourly()
    assert rig.look("2026-03-01T07:59:58") == pytest.approx(2, abs=0.5)
    assert rig.waiting() == 0
    for _ in range(3):
        rig.look("2026-03-01T08:00:01")
    assert rig.waiting() == 1
    rig.look("2026-03-01T09:00:00")
    assert rig.told("Note") == [("01 08:00", "ran", ""), ("01 09:00", "ran", "")]


def test_a_tick_s_job_is_as_any_other_and_goes_where_the_entry_says(rig: ScheduleRig) -> None:
    rig.schedule.job(Note("hello")).hourly().on_queue("reports")
    rig.look("2026-03-01T07:59:58")
    heard: list[events.JobQueueing] = []
    settled: list[events.ScheduleTickSettled] = []
    with (
        events.job_queued.connected_to(heard.append),
        events.schedule_tick_settled.connected_to(settled.append),
    ):
        rig.look("2026-03-01T08:00:01")
    leases = rig.queue.leases()
    consumer = rig.queue.consumer(leases.open(), ["reports"])
    (job,) = consumer.turn(5, []).jobs
    consumer.close()
    leases.close()
    (record,) = rig.history("Note")
    assert job.id == record.job == heard[0].job_id == settled[0].job_id
    assert decode(job.payload).data == {"text": "hello"}
    assert settled[0].tick.isoformat() == "2026-03-01T08:00:00+00:00"
    assert settled[0].late == pytest.approx(1, abs=0.5)


def test_clocks_change_and_the_job_of_half_past_two_runs_once(rig: ScheduleRig) -> None:
    """B9."""
    rig.schedule.job(Note).cron("30 2 * * *", timezone="Europe/Berlin")
    rig.look("2026-03-28T12:00")
    for minute in range(0, 180, 15):
        rig.look(f"2026-03-29T{minute // 60:02}:{minute % 60:02}:30")
    assert rig.told("Note") == [("29 01:00", "ran", "")]
    rig.look("2026-10-24T12:00")
    for minute in range(0, 180, 15):
        rig.look(f"2026-10-25T{minute // 60:02}:{minute % 60:02}:30")
    assert rig.told("Note")[-1] == ("25 00:30", "ran", "")
    assert [one[1] for one in rig.told("Note")].count("ran") == 2


def test_missed_ticks_are_listed_and_caught_up_as_each_entry_says(rig: ScheduleRig) -> None:
    """B9."""
    rig.schedule.job(Note, "none").hourly()
    rig.schedule.job(Note, "last").hourly().catch_up("last")
    rig.schedule.job(Note, "all").hourly().catch_up("all", within=7_200)
    rig.look("2026-03-01T08:30")
    rig.look("2026-03-01T11:30")
    missed = ["missed by 2 h", "missed by 90 min", "missed by 30 min"]
    assert [one[1:] for one in rig.told("none")] == [("skipped", why) for why in missed]
    assert [one[1] for one in rig.told("last")] == ["skipped", "skipped", "ran"]
    assert [one[1] for one in rig.told("all")] == ["skipped", "ran", "ran"]
    assert rig.told("all")[0][2] == "missed by 2 h, too old to be caught up"
    assert rig.waiting() == 3


def test_many_missed_ticks_are_told_in_few_lines(rig: ScheduleRig) -> None:
    rig.schedule.job(Note).every(minutes=1)
    rig.look("2026-03-01T08:00:30")
    assert rig.look("2026-03-02T08:00:30") == 0, "there is more to look at"
    while rig.schedulers[0].step() == 0:
        continue
    told = rig.history("Note")
    assert sum(one.count for one in told if one.outcome == "skipped") == 24 * 60 - 1
    assert len(told) < 70
    assert [one.outcome for one in told][-1] == "ran"


def test_an_entry_without_overlap_skips_while_its_job_is_not_done(rig: ScheduleRig) -> None:
    """B9."""
    rig.schedule.job(Note).hourly().without_overlapping()
    rig.look("2026-03-01T07:59")
    rig.look("2026-03-01T08:00")
    rig.look("2026-03-01T09:00")
    rig.finish()
    rig.look("2026-03-01T10:00")
    assert rig.told("Note") == [
        ("01 08:00", "ran", ""),
        ("01 09:00", "skipped", "the job before has not ended"),
        ("01 10:00", "ran", ""),
    ]


def test_an_entry_that_queues_runs_one_tick_after_the_job_before(rig: ScheduleRig) -> None:
    """B9."""
    rig.schedule.job(Note).hourly().without_overlapping("queue")
    rig.look("2026-03-01T07:59")
    rig.look("2026-03-01T08:00")
    assert rig.look("2026-03-01T09:00") == 1.0, "it asks each second whether the job has ended"
    rig.look("2026-03-01T10:00")
    assert rig.waiting() == 1
    rig.finish()
    rig.look("2026-03-01T10:20")
    assert rig.waiting() == 1
    assert rig.told("Note") == [
        ("01 08:00", "ran", ""),
        ("01 10:00", "skipped", "another tick waits for the job before"),
        ("01 09:00", "ran", "it waited for the job before"),
    ]


def test_a_condition_that_does_not_hold_skips_and_one_that_raises_fails(
    rig: ScheduleRig, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> bool:
        raise LookupError("no such table")

    rig.schedule.job(Note, "calm").hourly().when(lambda: False)
    rig.schedule.job(Note, "broken").hourly().when(broken)
    rig.schedule.job(Note, "well").hourly().when(lambda: True)
    rig.look("2026-03-01T07:59")
    rig.look("2026-03-01T08:00")
    assert rig.told("calm") == [("01 08:00", "skipped", "its condition does not hold")]
    assert rig.told("broken") == [("01 08:00", "failed", "LookupError: no such table")]
    assert rig.told("well") == [("01 08:00", "ran", "")]
    assert "the condition of entry 'broken' failed" in caplog.text


def test_a_job_that_cannot_be_made_fails_its_tick_and_holds_up_no_other(
    rig: ScheduleRig,
) -> None:
    def broken() -> Job:
        raise ValueError("no figures yet")

    rig.schedule.job(broken).hourly()
    rig.schedule.job(lambda: Note("x" * 70_000), "large").hourly()
    rig.schedule.job(Note).hourly()
    rig.look("2026-03-01T07:59")
    rig.look("2026-03-01T08:00")
    assert rig.told("broken") == [("01 08:00", "failed", "ValueError: no figures yet")]
    assert rig.told("large")[0][1:2] == ("failed",)
    assert rig.told("Note") == [("01 08:00", "ran", "")]


def test_a_paused_entry_skips_until_it_is_resumed(rig: ScheduleRig) -> None:
    """B9."""
    rig.schedule.job(Note, "a").hourly()
    rig.schedule.job(Note, "b").hourly()
    store = rig.queue.schedules()
    rig.look("2026-03-01T07:59")
    store.pause("a", "the provider is down")
    rig.look("2026-03-01T08:00")
    store.pause(None, until=1_772_357_400)  # 09:30
    rig.look("2026-03-01T09:00")
    assert store.resume("a")
    assert not store.resume("a")
    rig.look("2026-03-01T10:00")
    store.close()
    assert [one[1:] for one in rig.told("a")] == [
        ("skipped", "paused: the provider is down"),
        ("skipped", "paused: the provider is down"),
        ("ran", ""),
    ]
    assert [one[1:] for one in rig.told("b")] == [
        ("ran", ""),
        ("skipped", "paused"),
        ("ran", ""),
    ]


def test_run_now_runs_a_paused_entry_once_and_changes_none_of_its_ticks(rig: ScheduleRig) -> None:
    """B9."""
    rig.schedule.job(Note).hourly()
    rig.look("2026-03-01T07:59")
    store = rig.queue.schedules()
    store.pause(None)
    store.order("Note")
    store.order("Gone")
    for _ in range(2):
        rig.look("2026-03-01T07:59:30")
    store.resume(None)
    store.close()
    rig.look("2026-03-01T08:00")
    assert rig.waiting() == 2
    assert rig.told("Note") == [("01 07:59", "ran", "asked for"), ("01 08:00", "ran", "")]
    assert rig.told("Gone")[0][1:] == ("skipped", "asked for; the leader has no such entry")


def test_run_now_keeps_to_the_overlap_policy(rig: ScheduleRig) -> None:
    rig.schedule.job(Note).hourly().without_overlapping()
    rig.look("2026-03-01T07:59")
    rig.look("2026-03-01T08:00")
    store = rig.queue.schedules()
    store.order("Note")
    store.close()
    rig.look("2026-03-01T08:10")
    assert rig.told("Note")[-1][1:] == ("skipped", "asked for; the job before has not ended")


def test_a_job_for_another_connection_is_pushed_there_once(rig: ScheduleRig) -> None:
    rig.schedule.job(Note).hourly().on_connection("other")
    rig.look("2026-03-01T07:59")
    rig.look("2026-03-01T08:00")
    rig.look("2026-03-01T08:00:30")
    assert rig.waiting("other") == 1
    assert rig.told("Note") == [("01 08:00", "ran", "")]


def test_a_connection_that_is_away_gets_its_job_later_and_holds_up_no_other(
    rig: ScheduleRig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rig.schedule.job(Note, "far").hourly().on_connection("other")
    rig.schedule.job(Note, "near").hourly()
    rig.look("2026-03-01T07:59")
    other = rig.manager.connection("other")
    with monkeypatch.context() as patched:
        error = BrokerUnavailable("other", "nowhere", "it is gone")
        patched.setattr(other, "push_many", _raising(error))
        patched.setattr(other, "push", _raising(error))
        with caplog.at_level(logging.WARNING):
            assert rig.look("2026-03-01T08:00") == pytest.approx(0.2)
    assert "entry 'far', again in 0.2 s" in caplog.text
    assert rig.told("near") == [("01 08:00", "ran", "")]
    assert rig.told("far") == []
    rig.scheduler().close()
    rig.schedulers[0].close()
    rig.schedulers[0] = rig.scheduler()
    rig.look("2026-03-01T08:10")
    assert rig.told("far") == [("01 08:00", "ran", "")]
    assert rig.waiting("other") == 1


def _raising(error: Exception) -> object:
    def push(*_: object) -> object:
        raise error

    return push


def test_the_history_is_bounded_and_pruned(rig: ScheduleRig) -> None:
    """B9."""
    rig.schedule.job(Note).every(minutes=1).catch_up("all")
    rig.schedule.job(Note, "gone").every(hours=1)
    rig.look("2026-03-01T08:00:30")
    rig.look("2026-03-01T12:00:30")
    assert len(rig.history("Note")) == 200
    store = rig.queue.schedules()
    assert store.prune(3_600, keep=["Note"]) == 0
    assert store.known() == ["Note", "gone"]
    rig.be_at("2026-03-02T12:00:30")
    assert store.prune(3_600, keep=["Note"]) == 200 + 4
    assert store.known() == ["Note"]
    assert store.look(["gone"]).entries["gone"].last is None
    assert store.look(["Note"]).entries["Note"].last is not None
    store.close()


def test_what_is_kept_can_be_read_by_people_and_machines(rig: ScheduleRig) -> None:
    rig.schedule.job(Note).hourly()
    rig.look("2026-03-01T07:59")
    rig.look("2026-03-01T08:00")
    record = rig.history("Note")[0]
    assert json.loads(record.to_json())["outcome"] == "ran"
    assert type(record).from_json(record.to_json()[:-1] + ',"new":1}') == record


class Sweep(Job):
    """A job of which one may wait."""

    unique = True
    unique_id = "sweep"

    def handle(self) -> None: ...


class Merge(Sweep):
    """One that takes the place of the one that waits."""

    unique_on_conflict = "replace"

    def handle(self) -> None: ...


def test_a_unique_job_that_waits_already_lets_the_tick_be_skipped(rig: ScheduleRig) -> None:
    """C58. B7, B9."""
    rig.schedule.job(Sweep).hourly()
    rig.schedule.job(Merge).hourly()
    rig.look("2026-03-01T07:59")
    for hour in ("08", "09"):
        rig.look(f"2026-03-01T{hour}:00")
    assert rig.told("Sweep") == [
        ("01 08:00", "ran", ""),
        ("01 09:00", "skipped", "there is a unique job of its kind"),
    ]
    assert rig.told("Merge")[1] == (
        "01 09:00",
        "ran",
        "merged into the unique job of its kind that was there",
    )
    assert rig.waiting() == 2
    assert len({record.job for record in rig.history("Merge")}) == 1
    rig.finish()
    rig.look("2026-03-01T10:00")
    assert rig.told("Sweep")[-1] == ("01 10:00", "ran", "")


def test_a_delayed_job_waits_on_from_its_tick(rig: ScheduleRig) -> None:
    rig.schedule.job(Note().delay(hours=2)).hourly()
    rig.look("2026-03-01T07:59")
    rig.look("2026-03-01T08:00")
    assert rig.queue.size("default").delayed == 1
    assert rig.told("Note") == [("01 08:00", "ran", "")]
