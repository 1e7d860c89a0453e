"""Files of attendees, out and in, against the barest way to the same rows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.processes import BenchError
from bench.report import Outcome, Table, Verdict
from bench.stage import Stage

HERE = Path(__file__).resolve().parents[1]
GOALS = {"csv": (0.4, 200), "xlsx": (3.0, 200), "pdf": (1.5, 300)}
"""Times as fast as the bare way, and the most megabytes of any process."""
IMPORT = 0.1
IMPORT_GROWTH = 50
"""Megabytes that a process may gain while it imports a list, however long."""


def measure(stage: Stage) -> Outcome:
    """Measure each format and an import; each side runs in a process of its own."""
    quick = stage.effort.is_quick
    wanted = {"csv": 20_000, "xlsx": 5_000, "pdf": 1_000}
    if not quick:
        wanted = {"csv": 200_000, "xlsx": 100_000, "pdf": 4_000}
    options = [part for kind, rows in wanted.items() for part in (f"--{kind}", str(rows))]
    found = [json.loads(line) for line in _lines("exports.py", "--json", *options)]
    verdicts, table = [], []
    for each in found:
        verdicts += _verdicts(each)
        cpu = (f"{each['cpu_seconds']:.1f} s", f"{each['bare_cpu_seconds']:.1f} s")
        table.append((each["format"], f"{each['rows']:,}", f"{each['rows_a_second']:,}", *cpu))
    taken = json.loads(_lines("imports.py", "--rows", "5000" if quick else "50000")[-1])
    what, growth = f"import of {taken['rows']:,} rows", taken["peak MiB"] - taken["MiB before"]
    verdicts += [
        Verdict(
            f"{what}, against bare batched inserts", taken["share"], IMPORT,
            f"{taken['share']:.2f} ×", f"≥ {IMPORT} ×",
        ),
        Verdict(
            f"{what}: memory that the process gains", growth, IMPORT_GROWTH, f"{growth} MB",
            f"≤ {IMPORT_GROWTH} MB", is_ceiling=True,
        ),
    ]  # fmt: skip
    cpu = (f"{taken['processor s']:.1f} s", f"{taken['bare processor s']:.1f} s")
    table.append(("import", f"{taken['rows']:,}", f"{taken['import rows/s']:,}", *cpu))
    head = ("", "rows", "rows/s", "processor", "processor, bare")
    return Outcome("files", verdicts, [Table("files of attendees", head, table)])


def _verdicts(found: dict[str, Any]) -> list[Verdict]:
    kind, times, megabytes = found["format"], found["times_bare"], found["megabytes"]
    need, most = GOALS[kind]
    what = f"export of {found['rows']:,} attendees as {kind}"
    return [
        Verdict(f"{what}, against the bare library", times, need, f"{times:.2f} ×", f"≥ {need} ×"),
        Verdict(
            f"{what}: memory of any process", megabytes, most, f"{megabytes} MB", f"≤ {most} MB",
            is_ceiling=True,
        ),
    ]  # fmt: skip


def _lines(script: str, *options: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, str(HERE / script), *options], check=False, capture_output=True, text=True
    )
    lines = done.stdout.splitlines()
    # Exports end with 1 where a goal is missed, which fails no benchmark.
    if not lines or done.returncode not in {0, 1} or not lines[-1].startswith("{"):
        raise BenchError(f"'{script}' ended with {done.returncode}: {done.stderr[-500:]}")
    return lines
