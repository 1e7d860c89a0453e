"""The schedule's commands, and schedulers as processes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from onqueue.console import build_schedule_group
from onqueue.schedule import Schedule
from onqueue.schedule.store import store_of
from support.schedule_rig import Note, ScheduleRig
from support.waiting import PATIENCE, eventually

TESTS = Path(__file__).parents[3]
Run = Callable[..., Result]


@pytest.fixture
def run(rig: ScheduleRig) -> Run:
    group = build_schedule_group(lambda: rig.manager)

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(group, arguments)

    return invoke


def test_a_list_shows_when_entries_are_due_and_what_became_of_the_last_tick(
    rig: ScheduleRig, run: Run
) -> None:
    """B9."""
    rig.schedule.job(Note, "report").daily_at("07:30", "Europe/Berlin")
    rig.schedule.job(Note, "sweep").every(minutes=5).without_overlapping()
    rig.be_at("2026-03-01T06:29")
    assert "No scheduler is running" in run("list").output
    rig.look("2026-03-01T06:29")
    rig.look("2026-03-01T06:30:01")
    rig.look("2026-03-01T06:35:01")
    run("pause", "sweep", "--reason", "too busy")
    lines = run("list").output.splitlines()
    report = "report  30 7 * * * (Europe/Berlin)  2026-03-02 07:30:00+01:00"
    assert lines[1] == f"{report}  2026-03-01 07:30:00+01:00  ran"
    assert lines[2].split("  ")[-2:] == ["skipped", "paused: too busy"]
    assert lines[3].endswith("leads.")
    found = json.loads(run("list", "--json").output)
    assert [entry["name"] for entry in found["entries"]] == ["report", "sweep"]
    assert found["leader"]


def test_the_history_tells_what_ran_and_why_something_did_not(rig: ScheduleRig, run: Run) -> None:
    """B9."""
    rig.schedule.job(Note, "a").hourly()
    rig.schedule.job(Note, "b").hourly().when(lambda: False)
    rig.look("2026-03-01T07:59")
    rig.look("2026-03-01T08:00:02")
    rig.look("2026-03-01T10:30")
    rows = json.loads(run("history", "--json").output)
    assert [(row["entry"], row["outcome"]) for row in rows].count(("a", "skipped")) == 2
    assert rows[-1]["why"] in {"", "its condition does not hold"}
    line = run("history", "b", "--limit", "9").output.splitlines()[-1]
    assert line.startswith("b      2026-03-01 08:00:00+00:00  skipped")
    assert line.endswith("its condition does not hold")
    assert run("history", "c").exit_code == 1


def test_run_pause_and_resume_say_what_they_did(rig: ScheduleRig, run: Run) -> None:
    rig.schedule.job(Note, "report").hourly()
    rig.be_at("2026-03-01T07:59")
    assert "'report' is to run now.\nNo scheduler is running" in run("run", "report").output
    assert run("pause").output == "The schedule is paused.\n"
    assert run("pause", "report", "--for", "60").output == "Entry 'report' is paused for 60 s.\n"
    assert "paused until 2026-03-01 08:00" in run("list").output
    resumed = run("resume", "report").output.splitlines()
    assert resumed == ["Entry 'report' is resumed.", "Still paused: the whole schedule."]
    assert run("resume").output == "The schedule is resumed.\n"
    assert run("resume").output == "The schedule was not paused.\n"


@pytest.mark.parametrize("command", ["run", "pause", "resume"])
def test_an_unknown_entry_is_told_with_the_nearest(
    rig: ScheduleRig, run: Run, command: str
) -> None:
    rig.schedule.job(Note, "report").hourly()
    result = run(command, "repotr")
    assert result.exit_code == 1
    assert "The schedule has no entry 'repotr', did you mean 'report'?" in result.output


def test_what_cannot_have_a_schedule_says_so(rig: ScheduleRig, run: Run) -> None:
    rig.schedule.job(Note)
    assert "entry 'Note' is never due" in run("list").output
    rig.manager.schedule = None
    assert "The schedule cannot be used: there is none" in run("work").output
    rig.manager.schedule = Schedule(connection="sync")
    assert "There is no connection 'sync'" in run("work").output


# ---- as processes ----


@pytest.fixture
def start(tmp_path: Path, redis_url: str) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    (tmp_path / "shop.py").write_text(
        "from support.schedule_rig import Note, ScheduleRig\n"
        f"rig = ScheduleRig({redis_url!r})\n"
        "rig.schedule.job(Note).monthly_on(1)\n"
        "queues = rig.manager\n"
    )
    started: list[subprocess.Popen[bytes]] = []

    def one() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "onqueue", "--app", "shop:queues", "schedule", "work"]
        command += ["--lease", "900"]
        started.append(
            subprocess.Popen(
                command, cwd=tmp_path, env={"PATH": os.defpath, "PYTHONPATH": str(TESTS)}
            )
        )
        return started[-1]

    yield one
    for process in started:
        process.kill()
        process.wait()


def test_a_scheduler_hears_an_order_at_once_and_ends_at_once_when_told(
    rig: ScheduleRig, start: Callable[[], subprocess.Popen[bytes]]
) -> None:
    """B9: by itself it would look after five minutes, and its lease would end after fifteen."""
    rig.schedule.job(Note).monthly_on(1)
    processes = [start(), start()]
    store = store_of(rig.manager)
    eventually(lambda: store.term().name != "")
    leader = store.term().name
    eventually(lambda: store.look(["Note"]).entries["Note"].last is not None)
    first, second = sorted(processes, key=lambda one: not leader.endswith(f":{one.pid}"))

    store.order("Note")
    eventually(lambda: rig.waiting() == 1)

    first.send_signal(signal.SIGTERM)
    assert first.wait(PATIENCE) == 0
    eventually(lambda: store.term().name.endswith(f":{second.pid}"))
    store.close()
