"""However a demo is ended, it stops what it started, and two do not disturb each other."""

import os
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner

from demo import __main__ as demo
from meet2be.local.preconditions import alone


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_told_to_end_stops_its_platform(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ending: signal.Signals
) -> None:
    stopped: list[bool] = []
    monkeypatch.setattr(demo.Demo, "_set_up", lambda _: os.kill(os.getpid(), ending))
    monkeypatch.setattr("meet2be.local.stack.LocalStack.stop", lambda _: stopped.append(True))
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGHUP)
    try:
        result = CliRunner().invoke(demo.main, [], env={"VAR_DIR": str(tmp_path)})
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGHUP, before[1])
    assert result.exit_code == 128 + ending
    assert stopped == [True]


def test_a_second_demo_is_told_of_the_first(tmp_path: Path) -> None:
    with alone(tmp_path / "demo.lock"):
        result = CliRunner().invoke(demo.main, [], env={"VAR_DIR": str(tmp_path)})
    assert result.exit_code == 1
    assert f"a demo is under way in '{tmp_path / 'demo'}'" in result.output
