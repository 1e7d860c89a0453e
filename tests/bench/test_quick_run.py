"""A short run of the whole benchmark; how fast anything was is not asserted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.servers import missing

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / ".venv-bench"


@pytest.mark.bench
@pytest.mark.timeout(400)
def test_a_quick_run_measures_every_row_and_loses_no_job(tmp_path: Path) -> None:
    if not PEERS.exists():
        missing("The other queues are not installed; `make bench` installs them.")
    report = tmp_path / "report.json"
    done = subprocess.run(
        [sys.executable, "tests/bench/run.py", "--quick", "--report", str(report)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = {row["row"]: row for row in json.loads(report.read_text())["rows"]}
    assert list(rows) == [
        "throughput", "two_workers", "threads", "dispatching", "latency", "lateness", "memory",
        "waiting", "features", "webhooks", "files", "ties",
    ]  # fmt: skip
    assert all((row["verdicts"] or row["tables"]) and not row["faults"] for row in rows.values())
    assert [name for name, row in rows.items() if not row["verdicts"]] == ["ties"]


def test_a_row_that_does_not_exist_is_named() -> None:
    done = subprocess.run(
        [sys.executable, "tests/bench/run.py", "--rows", "speed"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "no such rows: speed" in done.stderr


def test_without_the_other_queues_it_says_how_to_get_them(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "tests/bench/run.py", "--peers", str(tmp_path / "none")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Run `make bench`" in done.stderr
