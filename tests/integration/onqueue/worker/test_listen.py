"""`listen`: each job runs the code as it is when it starts."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from onqueue import Job
from support.worker_processes import App

NEWS = """
from onqueue import Job
from support.worker_jobs import note

class TellNews(Job):
    label: str

    def handle(self) -> None:
        note(self, {word!r})
"""


class TellNews(Job):
    """What the test dispatches; the worker has a class of its own by this name."""

    label: str

    def handle(self) -> None:
        raise NotImplementedError


@pytest.fixture
def app(tmp_path: Path, redis_url: str) -> Iterator[App]:
    app = App(tmp_path, redis_url)
    with (tmp_path / "shop.py").open("a") as shop:
        shop.write("import news\n")
    yield app
    app.close()


def test_a_listener_runs_new_code_mends_a_broken_start_and_ends_with_its_worker(app: App) -> None:
    news = app.directory / "news.py"
    news.write_text(NEWS.format(word="old"))
    TellNews("a").dispatch()
    listener = app.work("--poll=0.1", command="listen")
    app.wait_for("old", "a")
    news.write_text("this is no Python\n")
    app.until_said(listener, "a change starts it anew")
    TellNews("b").dispatch()
    news.write_text(NEWS.format(word="new"))
    app.wait_for("new", "b")
    listener.signal(signal.SIGTERM)
    assert listener.ends() == 0
    assert app.is_empty()


def test_a_listener_that_is_to_end_by_itself_does_so_with_the_code_of_its_worker(app: App) -> None:
    (app.directory / "news.py").write_text(NEWS.format(word="old"))
    TellNews("a").dispatch()
    assert app.work("--poll=0.1", "--stop-when-empty", command="listen").ends() == 0
    assert len(app.lines("old")) == 1
