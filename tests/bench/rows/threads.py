"""Sixteen threads of one worker on jobs that wait a millisecond, against what they could do."""

from __future__ import annotations

from dataclasses import replace
from statistics import median

from bench.report import Outcome, Table, Verdict
from bench.stage import Speed, Stage
from bench.systems import ONQUEUE

_THREADS = 16
_IDEAL = _THREADS * 1000.0
"""Jobs a second if nothing but the waiting took time."""

THREADED = replace(
    ONQUEUE,
    name=f"onqueue, {_THREADS} threads",
    command=(*ONQUEUE.command, f"--concurrency={_THREADS}"),
    options={"kind": "waiting"},
)


def measure(stage: Stage) -> Outcome:
    """Measure so many jobs as the ideal would run in the time of a measurement."""
    jobs = stage.effort.jobs_at(_IDEAL)
    found = [stage.speed(THREADED, jobs) for _ in range(stage.effort.rounds)]
    rates = [speed.rate for speed in found]
    share = median(rates) / _IDEAL
    shown = f"{share:.2f} × ({median(rates):,.0f} of {_IDEAL:,.0f} jobs/s)"
    what = f"`--concurrency={_THREADS}`, jobs of 1 ms waiting, against the ideal"
    verdict = Verdict(what, share, 0.6, shown, "≥ 0.6 ×")
    return Outcome("threads", [verdict], [_table(found)])


def _table(found: list[Speed]) -> Table:
    line = (
        f"{median(speed.rate for speed in found):,.0f}",
        f"{median(speed.worker_cpu for speed in found):.1f} µs",
        f"{median(speed.server_cpu for speed in found):.1f} µs",
    )
    title = f"{_THREADS} threads, jobs of 1 ms waiting (CPU is per job)"
    return Table(title, ("jobs/s", "worker CPU", "server CPU"), [line])
