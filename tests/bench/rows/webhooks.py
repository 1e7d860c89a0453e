"""Webhooks to receivers of 100 ms, one worker with 64 threads, against what they could do.

The worker goes wherever the system puts it, and in turn with that keeps to one core.
"""

from __future__ import annotations

import os
from statistics import median

from bench.report import Outcome, Table, Verdict
from bench.stage import Stage
from bench.webhooks import CONCURRENCY, IDEAL, measure_delivering

_SECONDS = 4


def measure(stage: Stage) -> Outcome:
    """Measure so many deliveries as the ideal would send in a few seconds."""
    deliveries = int(IDEAL * _SECONDS * (0.5 if stage.effort.is_quick else 1.5))
    options = f"--concurrency={CONCURRENCY}"
    core = max(os.sched_getaffinity(0))
    sides: dict[str, int | None] = {options: None, f"{options} --core={core}": core}
    found: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    for _ in range(stage.effort.rounds):
        for side, kept in sides.items():
            found[side].append(measure_delivering(deliveries, core=kept))
    verdicts, rows = [], []
    for side, rounds in found.items():
        rate = median(each["rate"] for each in rounds)
        share = rate / IDEAL
        verdicts.append(
            Verdict(
                f"webhooks to receivers of 100 ms, `{side}`, against the ideal",
                share, 0.8, f"{share:.2f} × ({rate:,.0f} of {IDEAL:,.0f} deliveries/s)", "≥ 0.8 ×",
            )
        )  # fmt: skip
        cpu = f"{median(each['cpu_ms'] for each in rounds):.2f} ms"
        rows.append((f"`{side}`", f"{rate:,.0f}", cpu))
    table = Table("webhooks (CPU is per delivery)", ("worker", "deliveries/s", "worker CPU"), rows)
    return Outcome("webhooks", verdicts, [table])
