"""Two worker processes against one, on two cores that they share with the server."""

from __future__ import annotations

from statistics import median

from bench.report import Outcome, Verdict, ratio_of
from bench.stage import Stage
from bench.systems import ONQUEUE


def measure(stage: Stage) -> Outcome:
    """Measure one, two, one, two …"""
    jobs = stage.jobs_for(ONQUEUE)
    one, two = [], []
    for _ in range(stage.effort.rounds):
        one.append(stage.speed(ONQUEUE, jobs).rate)
        two.append(stage.speed(ONQUEUE, jobs * 3 // 2, workers=2).rate)
    ratio = ratio_of(two, one)
    shown = f"{ratio:.2f} × ({median(two):,.0f} against {median(one):,.0f} jobs/s)"
    verdict = Verdict("two worker processes against one", ratio, 1.3, shown, "≥ 1.3 ×")
    return Outcome("two_workers", [verdict])
