"""What the broker keeps of a waiting job beyond its payload."""

from __future__ import annotations

from typing import Any

from bench.report import Outcome, Verdict
from bench.server import Server
from bench.stage import Stage
from bench.systems import ONQUEUE


def measure(stage: Stage) -> Outcome:
    """Measure with several numbers of jobs, as tables grow in steps; the worst counts."""
    counts = (5_000, 40_000) if stage.effort.is_quick else (10_000, 70_000, 100_000, 300_000)
    found = {count: _beyond_payload(stage, count) for count in counts}
    worst = max(found.values())
    each = ", ".join(f"{found[count]:.0f} at {count:,}" for count in counts)
    what = "broker memory a waiting job, beyond its payload"
    shown = f"{worst:.0f} bytes ({each})"
    return Outcome("memory", [Verdict(what, worst, 200.0, shown, "≤ 200 bytes", is_ceiling=True)])


def _beyond_payload(stage: Stage, count: int) -> float:
    with stage.run(ONQUEUE, 1) as run:
        before = stage.server.memory()
        run.fill(0, count)
        used = stage.server.memory() - before
        return used / count - _payload_bytes(stage.server)


def _payload_bytes(server: Server) -> float:
    """Return the mean size of the payloads that wait, from a sample."""
    sample: Any = server.client.hrandfield("{onqueue:redis}:payloads", 1000, withvalues=True)
    payloads = sample[1::2]
    return sum(map(len, payloads)) / len(payloads)
