"""The code of the how-to pages runs, and their commands exist with the options they are given."""

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest

from meet2be.cli import main
from meet2be.db import Database
from onqueue import Job, QueueManager, events, using
from onqueue.bus.functions import FunctionJob
from onqueue.failed import MemoryFailedJobs
from onqueue.limits import RateLimiter
from onqueue.payload import decode
from onqueue.schedule import Schedule
from onqueue.testing import queue_fake
from onqueue.testing.clock import FakeClock
from support.pages import HOW_TO, ROOT, blocks, commands

pytestmark = pytest.mark.usefixtures("any_names")

LIMIT_JOBS = HOW_TO / "limit-jobs.md"
SCHEDULE_JOBS = HOW_TO / "schedule-jobs.md"
DISPATCH_JOBS = HOW_TO / "dispatch-jobs.md"
WRITE_A_JOB = HOW_TO / "write-a-job.md"
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
PROGRAMS = {file.stem for file in ROOT.glob("infra/supervisor/programs/*.conf")}


def check_ours(words: list[str]) -> None:
    """Raise when `meet2be` has no such command, or the command no such option."""
    command: click.Command = main
    name = "meet2be"
    while isinstance(command, click.Group) and words:
        name, *words = words
        found = command.get_command(click.Context(command), name)
        assert found is not None, f"'{name}' is no command"
        command = found
    command.make_context(name, list(words))


def check_make(words: list[str]) -> None:
    """Raise when the Makefile has no such target."""
    targets = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert {word for word in words if "=" not in word} <= set(targets), words


def test_the_job_of_the_page_is_a_job_and_its_test_passes(sqlite_database: Database) -> None:
    job, dispatching, its_test = blocks(WRITE_A_JOB, "python")
    page: dict[str, object] = {"__name__": "how_to_write_a_job"}
    exec(job, page)  # noqa: S102 - our own page
    with queue_fake() as queue, sqlite_database.tenant_session(1) as session:
        page["session"] = session
        exec(dispatching, page)  # noqa: S102
    assert [pushed.delay for pushed in queue.pushed] == [7_200]
    exec(its_test, page)  # noqa: S102
    test = page["test_an_attendee_is_reminded"]
    assert callable(test)
    test(sqlite_database)


def test_what_the_page_dispatches_can_be_dispatched_and_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = ModuleType("how_to_dispatch_jobs")
    monkeypatch.setitem(sys.modules, page.__name__, page)
    first, *rest = blocks(DISPATCH_JOBS, "python")
    exec(first, vars(page))  # noqa: S102 - our own page
    with queue_fake() as queue:
        for block in rest:
            exec(block, vars(page))  # noqa: S102
    queue.assert_count(5_000 + 3 + 2 + 1 + 1)
    names = [one.job.display_name for one in queue.pushed if isinstance(one.job, FunctionJob)]
    assert [name() for name in names] == [
        "how_to_dispatch_jobs.shrink",
        "Shrink a picture",
        "Greet",
    ]
    older = b'{"v":1,"job":"Invite","at":0,"data":{"address":"ann@example.com"}}'
    assert decode(older).restore() == page.Invite("ann@example.com", "en")


def test_the_schedule_of_the_page_is_one_and_so_are_its_own_jobs() -> None:
    page: dict[str, object] = {"__name__": "how_to_schedule_jobs"}
    for block in blocks(SCHEDULE_JOBS, "python"):
        exec(block, page)  # noqa: S102 - our own page
    schedule = page["schedule"]
    assert isinstance(schedule, Schedule)
    schedule.check()
    assert len(schedule) == 9
    assert all(isinstance(entry.make(), Job) for entry in schedule)


def test_the_limits_of_the_page_let_its_jobs_through(capsys: pytest.CaptureFixture[str]) -> None:
    page: dict[str, Any] = {"__name__": "how_to_limit_jobs"}
    for block in blocks(LIMIT_JOBS, "python"):
        exec(block, page)  # noqa: S102 - our own page
    heard: list[events.JobProcessed] = []
    note = heard.append
    failed = MemoryFailedJobs(FakeClock())
    sync = {"sync": {"driver": "sync"}}
    manager = QueueManager("sync", sync, failed, context=lambda: {"tenant": "acme"})
    with using(manager), events.job_processed.connected_to(note):
        for job in ("PushToProvider", "RenderTicket", "RefundByCard"):
            page[job](7).dispatch()
        page["RefundByCard"](0).dispatch()
        page["Timed"]().dispatch()
    RateLimiter.forget("provider")
    RateLimiter.forget("exports")
    assert [event.outcome for event in heard] == [*["succeeded"] * 3, "skipped", "succeeded"]
    assert capsys.readouterr().out == "before Timed\nafter Timed\n"
    assert failed.all() == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_exists(page: Path) -> None:
    checks = {"meet2be": check_ours, "make": check_make}
    for program, *words in commands(page):
        if program in checks:
            checks[program](words)
        elif program == "supervisorctl":
            assert words[-1].partition(":")[0] in PROGRAMS, words
