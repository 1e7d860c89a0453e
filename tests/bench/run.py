"""Measures the queue beside five others on one private server: `make bench`.

Each row runs its sides in turn, several rounds; medians and ratios are printed. The exit code is 0
whatever the speed; it is 1 when something broke or a job was lost or run twice.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[0] = str(ROOT / "tests")

from bench.machine import describe_machine  # noqa: E402 - the path comes first
from bench.page import page  # noqa: E402
from bench.processes import BenchError, Environments  # noqa: E402
from bench.report import Outcome, verdict_grid  # noqa: E402
from bench.server import private_server  # noqa: E402
from bench.stage import Effort, Stage  # noqa: E402
from onqueue.clock import SystemClock  # noqa: E402

ROWS = (
    "throughput",
    "two_workers",
    "threads",
    "dispatching",
    "latency",
    "lateness",
    "memory",
    "waiting",
    "features",
    "webhooks",
    "files",
    "ties",
)
PAGE = ROOT / "docs" / "reference" / "benchmark.md"
_clock = SystemClock()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="less of everything, about two minutes"
    )
    parser.add_argument("--rows", default=",".join(ROWS), help="some of them, with commas")
    parser.add_argument("--rounds", type=int, help="rounds a row (3; quick: 1)")
    parser.add_argument("--jobs", type=int, help="most jobs a measurement (40,000; quick: 8,000)")
    parser.add_argument("--appendfsync", choices=["always", "everysec"], default="always")
    parser.add_argument("--peers", type=Path, default=ROOT / ".venv-bench")
    parser.add_argument("--report", type=Path, default=ROOT / "var" / "bench" / "report.json")
    given = parser.parse_args()
    given.rows = tuple(given.rows.split(","))
    if unknown := set(given.rows) - set(ROWS):
        parser.error(f"no such rows: {', '.join(sorted(unknown))} (there are {', '.join(ROWS)})")
    return given


def _effort(given: argparse.Namespace) -> Effort:
    if given.quick:
        return Effort(given.rounds or 1, given.jobs or 8_000, 0.7, is_quick=True)
    return Effort(given.rounds or 3, given.jobs or 40_000, 2.0, is_quick=False)


def _measure(row: str, stage: Stage) -> Outcome:
    """Measure a row; what breaks becomes a fault of it, so that the others still run."""
    began = _clock.monotonic()
    stage.faults = []
    try:
        outcome: Outcome = importlib.import_module(f"bench.rows.{row}").measure(stage)
    except BenchError as error:
        outcome = Outcome(row, faults=[str(error)])
    outcome.faults += stage.faults
    _say(f"{row}: {_clock.monotonic() - began:.0f} s")
    for verdict in outcome.verdicts:
        _say(f"  {verdict.what}: {verdict.shown}, must be {verdict.must}: {verdict.text}")
    for fault in outcome.faults:
        _say(f"  FAULT: {fault}")
    return outcome


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Measure, print the tables, keep the report; return the exit code."""
    given = _options()
    effort = _effort(given)
    peers = given.peers.absolute()
    if not (peers / "bin" / "python").exists():
        raise SystemExit(f"The other queues are not installed in '{peers}'. Run `make bench`.")
    with private_server(given.appendfsync) as server:
        stage = Stage(server, Environments(peers), effort)
        machine = describe_machine(server, peers, given.appendfsync)
        outcomes = [_measure(row, stage) for row in given.rows]
    report: dict[str, Any] = {
        "at": _clock.now().isoformat(timespec="seconds"),
        "machine": machine,
        "effort": asdict(effort),
        "rows": [outcome.as_json() for outcome in outcomes],
    }
    given.report.parent.mkdir(parents=True, exist_ok=True)
    given.report.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    if given.rows == ROWS and not given.quick:
        PAGE.write_text(page(outcomes, machine, effort))
    print(verdict_grid(outcomes))
    for table in (table for outcome in outcomes for table in outcome.tables):
        print(table.markdown())
    return 1 if any(outcome.faults for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
