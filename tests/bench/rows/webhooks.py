"""Webhooks to receivers of 100 ms, one worker with 64 threads, against what they could do."""

from __future__ import annotations

from statistics import median

from bench.report import Outcome, Table, Verdict
from bench.stage import Stage
from bench.webhooks import CONCURRENCY, IDEAL, measure_delivering

_SECONDS = 4


def measure(stage: Stage) -> Outcome:
    """Measure so many deliveries as the ideal would send in a few seconds."""
    deliveries = int(IDEAL * _SECONDS * (0.5 if stage.effort.is_quick else 1.5))
    found = [measure_delivering(deliveries) for _ in range(stage.effort.rounds)]
    rate = median(each["rate"] for each in found)
    share = rate / IDEAL
    verdict = Verdict(
        f"webhooks to receivers of 100 ms, `--concurrency={CONCURRENCY}`, against the ideal",
        share, 0.8, f"{share:.2f} × ({rate:,.0f} of {IDEAL:,.0f} deliveries/s)", "≥ 0.8 ×",
    )  # fmt: skip
    cpu = f"{median(each['cpu_ms'] for each in found):.2f} ms"
    table = Table(
        "webhooks (CPU is per delivery)", ("deliveries/s", "worker CPU"), [(f"{rate:,.0f}", cpu)]
    )
    return Outcome("webhooks", [verdict], [table])
