"""Plants what the linters must catch, so that a rule that was switched off does not pass unseen."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PLANTED = {
    "TID251": "import os\n\nHOME = os.environ\n",
    "T201": 'print("hello")\n',
    "ANN201": "def give():\n    return 1\n",
    "S110": "def swallow() -> None:\n    try:\n        go()\n    except Exception:\n        pass\n",
}


def findings(source: str, as_file: str) -> set[str]:
    """Return the codes that ruff finds in a text that pretends to be a file of the project."""
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--output-format", "concise", "--no-cache",
         "--stdin-filename", as_file, "-"],
        input=source, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in {0, 1}, done.stderr
    return set(re.findall(r": ([A-Z]+\d+) ", done.stdout))


@pytest.mark.parametrize("code", PLANTED)
def test_a_planted_violation_is_found(code: str) -> None:
    assert code in findings(PLANTED[code], "platform/meet2be/planted.py")


@pytest.mark.parametrize(
    "call", ["time.time()", "time.sleep(1)", "datetime.datetime.now(datetime.UTC)"]
)
def test_time_is_read_by_clocks_only(call: str) -> None:
    source = f"import datetime\nimport time\n\nRESULT = {call}\n"
    assert "TID251" in findings(source, "jobs/planted.py")
    assert "TID251" not in findings(source, "platform/onqueue/clock.py")


@pytest.mark.parametrize("name", ["queue", "logging", "email"])
def test_a_module_named_like_the_library_s_is_found_at_any_depth(name: str) -> None:
    source = '"""Planted."""\n'
    assert "A005" in findings(source, f"platform/onqueue/drivers/planted/{name}.py")


def test_the_import_directions_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
