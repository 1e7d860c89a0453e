"""Two worker processes against one, on two cores that they share with the server.

They take turns on one list of jobs: while one works alone the other stands still. Who begins
changes from turn to turn.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from bench.report import Outcome, Verdict, ratio_of_turns
from bench.systems import ONQUEUE

if TYPE_CHECKING:
    from bench.stage import Stage

_TURNS = 5


def measure(stage: Stage) -> Outcome:
    """Measure one, two, two, one …"""
    jobs = stage.effort.jobs
    rates: tuple[list[list[float]], list[list[float]]] = ([], [])
    for _ in range(stage.effort.rounds):
        for side, found in zip(rates, _round(stage, jobs), strict=True):
            side.append(found)
    ratio = ratio_of_turns(rates[1], rates[0])
    one, two = (median(rate for found in side for rate in found) for side in rates)
    shown = f"{ratio:.2f} × ({two:,.0f} against {one:,.0f} jobs/s)"
    verdict = Verdict("two worker processes against one", ratio, 1.3, shown, "≥ 1.3 ×")
    return Outcome("two_workers", [verdict])


def _round(stage: Stage, jobs: int) -> tuple[list[float], list[float]]:
    """Return the rates of one worker and of two, in each of their turns."""
    parts = {1: 2, 2: 3}  # so that both take about as long
    rates: dict[int, list[float]] = {1: [], 2: []}
    # One part more than is measured: who stands still may have some jobs in hand.
    left = sum(parts.values()) * _TURNS + 1
    total = jobs * left // (parts[1] * _TURNS)
    with stage.run(ONQUEUE, total) as run:
        run.fill(0, total)
        with run.ready_worker() as first, run.ready_worker() as second:
            for turn in range(_TURNS):
                for count in (1, 2) if turn % 2 else (2, 1):
                    speed = run.turn([first, second][:count], parts[count] / left)
                    rates[count].append(speed.rate)
                    left -= parts[count]
            second.go()
            run.finish(first)
        stage.faults += run.faults(0, total)
    return rates[1], rates[2]
