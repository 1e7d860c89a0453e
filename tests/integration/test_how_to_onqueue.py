"""The code of the pages on the queue core runs, and so does its quickstart, with its commands."""

import json
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

from onqueue import Job, QueueManager, events, registry, using
from onqueue.console import build_group, build_schedule_group
from onqueue.errors import UniqueJobExists
from onqueue.failed import MemoryFailedJobs
from onqueue.testing.clock import FakeClock
from support.pages import HOW_TO, ONQUEUE, ROOT, blocks, commands, module_of, run

pytestmark = pytest.mark.usefixtures("any_names")

QUICKSTART = ONQUEUE / "quickstart.md"
PAGES = sorted([*HOW_TO.glob("*.md"), *ONQUEUE.glob("*.md")])


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the jobs of a page after its test."""
    monkeypatch.setattr(registry, "_classes", dict(registry._classes))


@pytest.fixture
def inline() -> Iterator[QueueManager]:
    """Queues whose jobs run where they are dispatched."""
    failed = MemoryFailedJobs(FakeClock())
    keys = [("test", bytes(range(32)))]
    manager = QueueManager("sync", {"sync": {"driver": "sync"}}, failed, app_keys=keys)
    with using(manager):
        yield manager


@pytest.fixture
def broker(redis_url: str) -> Iterator[QueueManager]:
    """Queues on a real broker, with nobody who works on them."""
    manager = QueueManager("redis", {"redis": {"driver": "redis", "url": redis_url}})
    with using(manager):
        yield manager
    manager.close()


def run_page(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Run all Python of a page, one block after the other."""
    page = HOW_TO / f"{name}.md"
    module = module_of(page, monkeypatch)
    for block in blocks(page, "python"):
        run(block, module)
    return module


def test_of_the_unique_jobs_of_the_page_one_of_each_kind_waits(
    broker: QueueManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = run_page("unique-jobs", monkeypatch)
    size = broker.connection().size("default")
    assert (size.ready, size.delayed) == (1, 1)
    page.ImportStock().dispatch()
    with pytest.raises(UniqueJobExists, match="ImportStock"):
        page.ImportStock().dispatch()


def test_the_chains_and_batches_of_the_page_run_to_their_ends(
    inline: QueueManager, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[str] = []

    def note(event: events.JobProcessed) -> None:
        heard.append(event.job)

    with events.job_processed.connected_to(note):
        run_page("chain-and-batch-jobs", monkeypatch)
    alone = [name for name in heard if not name.startswith("onqueue.")]
    assert alone[:3] == ["Charge", "Pack", "Tell"]
    assert alone[3:7] == ["Inspect", "Charge", "Pack", "Tell"]
    assert alone.count("Charge") == 1 + 1 + 100 + 2
    assert "Charges of June: 100 of 100" in capsys.readouterr().out


def test_the_small_tenant_of_the_page_does_not_wait_for_the_big_one(
    broker: QueueManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B3."""
    run_page("share-a-queue", monkeypatch)
    queue = broker.workable()
    taken = queue.consumer(queue.leases().open(), ["default"]).turn(16, []).jobs
    assert any(b'"small"' in job.payload for job in taken)
    assert queue.size("default").total == 102


def test_the_long_jobs_of_the_page_run_and_tell_how_far_they_are(
    broker: QueueManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = run_page("long-jobs", monkeypatch)
    assert page.outcome == "removed"
    assert broker.connection().size("default").total == 0
    for job in (page.InviteAll(), page.Render(3), page.Crunch()):
        job.dispatch_sync()
    assert page.sent == ["ann", "bob", "cyn"]
    stopped: Job = page.Crunch()
    interactions = stopped.with_fake_queue_interactions()
    interactions.stop_worker()
    stopped.handle()
    interactions.assert_snoozed()


def test_the_tests_of_the_page_pass(pytester: pytest.Pytester) -> None:
    """B20."""
    pytester.makepyfile("\n\n".join(blocks(HOW_TO / "test-jobs.md", "python")))
    pytester.runpytest("-p", "no:cacheprovider").assert_outcomes(passed=4)


def test_what_the_page_installs_tells_what_happens(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = run_page("watch-the-queue", monkeypatch)
    page.stop()
    page.uninstall()
    page.end_tracing()
    assert "Burn on default failed: no fuel" in capsys.readouterr().out


def test_the_quickstart_does_what_it_says(tmp_path: Path, redis_url: str) -> None:
    [shop] = blocks(QUICKSTART, "python")
    install, *shown = blocks(QUICKSTART, "sh")  # what is to be installed is installed here
    assert '"./platform/onqueue[sql]"' in install
    settings = tomllib.loads((ROOT / "platform/onqueue/pyproject.toml").read_text("utf-8"))
    assert "sql" in settings["project"]["optional-dependencies"]
    (tmp_path / "shop.py").write_text(shop.replace("redis://127.0.0.1:6379/0", redis_url), "utf-8")
    told: list[str] = []
    for program, *words in filter(None, map(shlex.split, "".join(shown).splitlines())):
        known = "".join(told[-1:])
        failed = json.loads(known)[0]["id"] if known.startswith("[") else ""
        told.append(typed(tmp_path, program, [failed if word == "ID" else word for word in words]))
    said = "".join(told)
    assert said.count("Hello Ann\n") == 1
    assert "nobody to greet" in said
    assert told[-1] == "Hello Bob\n"


def typed(folder: Path, program: str, words: list[str]) -> str:
    """Return what a command of the page prints in a folder; it must end with 0."""
    done = subprocess.run(
        [sys.executable, *(("-m", "onqueue") if program == "onqueue" else ()), *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, (program, words, done.stdout, done.stderr)
    return done.stdout


def core_group() -> click.Group:
    """Return the core's own console."""
    group = build_group(pytest.fail, "onqueue")
    group.add_command(build_schedule_group(pytest.fail))
    return group


def check_core(words: list[str]) -> None:
    """Raise when the core's console has no such command, or the command no such option."""
    command: click.Command = core_group()
    words = words[2:] if words[:1] == ["--app"] else words
    name = "onqueue"
    while isinstance(command, click.Group) and words:
        name, *words = words
        found = command.get_command(click.Context(command), name)
        assert found is not None, f"{name!r} is no command"
        command = found
    command.make_context(name, list(words))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_a_page_exists_for_the_core_alone(page: Path) -> None:
    for program, *words in commands(page):
        if program == "onqueue":
            check_core(words)
