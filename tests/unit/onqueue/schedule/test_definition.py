"""What an application may write into its schedule."""

from collections.abc import Callable

import pytest

from onqueue import Job, OnQueueError
from onqueue.errors import ConfigurationError, UnknownEntry
from onqueue.schedule import Entry, Schedule


class SendReport(Job):
    kind: str = "daily"

    def handle(self) -> None: ...


def make_report() -> SendReport:
    return SendReport("made")


def test_an_entry_is_named_after_its_job_or_function() -> None:
    schedule = Schedule()
    schedule.job(SendReport)
    schedule.job(make_report)
    schedule.job(SendReport("weekly"), "weekly-report")
    schedule.job(lambda: SendReport("monthly"), name="monthly-report")
    assert [entry.name for entry in schedule] == [
        "SendReport",
        "make_report",
        "weekly-report",
        "monthly-report",
    ]
    kinds = [getattr(entry.make(), "kind", "") for entry in schedule]
    assert kinds == ["daily", "made", "weekly", "monthly"]


@pytest.mark.parametrize(
    ("define", "when"),
    [
        (lambda entry: entry.every(minutes=5), "every 5 minutes"),
        (lambda entry: entry.hourly(20), "20 * * * * (Europe/Berlin)"),
        (lambda entry: entry.daily_at("07:30"), "30 7 * * * (Europe/Berlin)"),
        (lambda entry: entry.weekly_on("Monday", "7:00", "UTC"), "0 7 * * 1 (UTC)"),
        (lambda entry: entry.monthly_on(31), "0 0 31 * * (Europe/Berlin)"),
        (lambda entry: entry.cron("0 7 * * MON"), "0 7 * * MON (Europe/Berlin)"),
    ],
)
def test_an_entry_says_when_it_is_due(define: Callable[[Entry], Entry], when: str) -> None:
    entry = define(Schedule(timezone="Europe/Berlin").job(SendReport))
    assert str(entry.cadence) == when


def test_its_jobs_go_where_the_entry_says() -> None:
    entry = Schedule().job(SendReport).on_queue("reports").on_connection("redis-long")
    job = entry.make()
    assert (job.queue, job.connection) == ("reports", "redis-long")


def test_an_entry_is_wanted_when_all_its_conditions_hold() -> None:
    entry = Schedule().job(SendReport).when(lambda: 1).when(lambda: "yes")
    assert entry.is_wanted()
    assert not entry.when(lambda: None).is_wanted()


WRONG: list[tuple[Callable[[Schedule], object], str]] = [
    (lambda schedule: schedule.job(lambda: SendReport("a")), "entry ''.*give it name="),
    (lambda schedule: schedule.job(SendReport, "a b"), "'a b'.*letters, digits"),
    (
        lambda schedule: (schedule.job(SendReport), schedule.job(SendReport)),
        "'SendReport'.*there is one of that name",
    ),
    (lambda schedule: schedule.job(SendReport).every(seconds=0.5), "whole number of seconds"),
    (lambda schedule: schedule.job(SendReport).every(), "whole number of seconds"),
    (lambda schedule: schedule.job(SendReport).daily_at("25:00"), "'25:00'.*like '07:30'"),
    (lambda schedule: schedule.job(SendReport).weekly_on("mondya"), "did you mean 'monday'"),
    (
        lambda schedule: schedule.job(SendReport).hourly().every(hours=1),
        r"it is due 0 \* \* \* \* \(UTC\) already",
    ),
    (
        lambda schedule: schedule.job(SendReport).catch_up("some"),  # type: ignore[arg-type]
        "one of skip, last, all, not 'some'",
    ),
    (
        lambda schedule: schedule.job(SendReport).without_overlapping("wait"),  # type: ignore[arg-type]
        "one of allow, skip, queue, not 'wait'",
    ),
    (lambda schedule: schedule.job(SendReport).catch_up("last", within=-1), "catch_up"),
    (lambda schedule: schedule.job(SendReport).on_queue("a,b"), "a queue's name"),
    (
        lambda schedule: schedule.job(lambda: 5, "five").make(),  # type: ignore[arg-type, return-value]
        "must make a job, not 'int'",
    ),
]


@pytest.mark.parametrize(("define", "words"), WRONG)
def test_what_cannot_be_is_told(define: Callable[[Schedule], object], words: str) -> None:
    with pytest.raises((ConfigurationError, OnQueueError), match=words):
        define(Schedule())


def test_an_entry_that_is_never_due_is_told() -> None:
    schedule = Schedule()
    schedule.job(SendReport)
    with pytest.raises(ConfigurationError, match="'SendReport' is never due: say when"):
        schedule.check()


def test_an_unknown_entry_is_told_with_the_nearest() -> None:
    schedule = Schedule()
    schedule.job(SendReport, "report").hourly()
    with pytest.raises(UnknownEntry, match="'repotr', did you mean 'report'"):
        schedule.entry("repotr")
