"""What a listener watches, and what it starts."""

import os
from pathlib import Path

import pytest

from onqueue.worker.listening import Listener, sources, worker_command


def test_python_files_are_watched_but_not_those_that_nobody_edits(tmp_path: Path) -> None:
    for name in ("a.py", "deep/b.py", "deep/c.txt", ".hidden/d.py", "__pycache__/e.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    assert set(sources([tmp_path])) == {tmp_path / "a.py", tmp_path / "deep/b.py"}
    assert set(sources([tmp_path / "a.py"])) == {tmp_path / "a.py"}


def test_a_change_is_seen_by_time_or_size(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text("one")
    before = sources([tmp_path])
    assert sources([tmp_path]) == before
    os.utime(path, ns=(1, 1))
    assert sources([tmp_path]) != before


def test_the_worker_gets_the_same_command_line_but_for_the_listeners_own_options() -> None:
    argv = "python -m onqueue --app shop:queues listen redis --watch src --poll=2 --queue=listen"
    command = worker_command(argv.split(), ("--watch", "--poll"))
    assert command == [
        "python",
        "-m",
        "onqueue",
        "--app",
        "shop:queues",
        "work",
        "redis",
        "--queue=listen",
    ]


def test_a_place_with_nothing_to_watch_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Or whoever waits for a change to be taken up waits forever."""
    (tmp_path / "notes.txt").write_text("")
    listener = Listener(["true"], [tmp_path], poll=0.01, ends_with_worker=True)
    assert listener.run() == 0
    assert f"no Python file to watch in {tmp_path}" in caplog.text
