"""Delayed jobs on an idle worker: by how much they come too late."""

from __future__ import annotations

from statistics import median

from bench.report import Outcome, Verdict, at_rank
from bench.stage import Stage
from bench.systems import ONQUEUE


def measure(stage: Stage) -> Outcome:
    """Spread delayed jobs over some seconds, several times."""
    jobs, seconds = (60, 2.0) if stage.effort.is_quick else (200, 5.0)
    late: list[float] = []
    for _ in range(stage.effort.rounds):
        with stage.run(ONQUEUE, jobs) as run:
            with run.place.worker():
                late += run.place.dispatch("later", 0, jobs, seconds)
            stage.faults += run.faults(0, jobs)
    p99 = at_rank(late, 0.99) * 1e3
    shown = f"{p99:.1f} ms (p50 {median(late) * 1e3:.1f} ms, the latest {max(late) * 1e3:.1f} ms)"
    what = "a delayed job's lateness on an idle worker, p99"
    return Outcome("lateness", [Verdict(what, p99, 15.0, shown, "≤ 15 ms", is_ceiling=True)])
