"""An idle worker: the time from dispatch to `handle`."""

from __future__ import annotations

from collections import defaultdict
from statistics import median

from bench.report import Outcome, Table, Verdict, at_rank, ratio_of
from bench.stage import Stage
from bench.systems import ONQUEUE, PEERS, System

_SHOWN = (
    "Huey, 1 thread",
    "Dramatiq, 8 threads, its own prefetch, default middleware",
    "Dramatiq, 1 thread, prefetch 1000, no middleware",
    "Celery, solo, early acks",
    "RQ, SimpleWorker",
    "arq",
)


def measure(stage: Stage) -> Outcome:
    """Send job after job to an idle worker of each system, round by round."""
    names = _SHOWN[:1] if stage.effort.is_quick else _SHOWN
    systems = [ONQUEUE, *(peer for peer in PEERS if peer.name in names)]
    waits: dict[str, list[list[float]]] = defaultdict(list)
    for _ in range(stage.effort.rounds):
        for system in systems:
            waits[system.name].append(_waits(stage, system))
    ours = [wait for found in waits[ONQUEUE.name] for wait in found]
    middles = [median(found) for found in waits[ONQUEUE.name]]
    theirs = [median(found) for found in waits[_SHOWN[0]]]
    ratio, tail = ratio_of(middles, theirs), at_rank(ours, 0.99) / median(ours)
    shown = f"{ratio:.2f} × ({_ms(median(middles))} against {_ms(median(theirs))})"
    spread = f"{tail:.2f} × ({_ms(at_rank(ours, 0.99))})"
    what = "idle worker, dispatch → `handle`, p50 against Huey's"
    return Outcome(
        "latency",
        [
            Verdict(what, ratio, 1.3, shown, "≤ 1.3 ×", is_ceiling=True),
            Verdict("the same, p99 against its p50", tail, 3.0, spread, "≤ 3 ×", is_ceiling=True),
        ],
        [_table(systems, waits)],
    )


def _waits(stage: Stage, system: System) -> list[float]:
    """Return seconds from dispatch to run."""
    jobs = 80 if stage.effort.is_quick else 320
    with stage.run(system, jobs) as run:
        with run.place.worker():
            waits = run.place.dispatch("idle", 0, jobs, stage.effort.seconds * 3)
        sent = run.ledger.done()
        stage.faults += run.faults(0, sent)
    return waits


def _table(systems: list[System], waits: dict[str, list[list[float]]]) -> Table:
    lines = []
    for system in systems:
        found = [wait for one in waits[system.name] for wait in one]
        lines.append((system.name, _ms(median(found)), _ms(at_rank(found, 0.99)), _ms(max(found))))
    return Table("Idle worker, dispatch → `handle`", ("system", "p50", "p99", "longest"), lines)


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"
