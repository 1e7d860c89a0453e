"""What unique jobs and the links of a chain cost beside plain jobs; there is no bound."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

from bench.report import Outcome, Table, ratio_of
from bench.systems import ONQUEUE, System

if TYPE_CHECKING:
    from bench.stage import Speed, Stage

_LINKS = 1_000
_UNIQUE = replace(ONQUEUE, name="onqueue, unique jobs", options={"kind": "unique"})
_CHAINED = replace(ONQUEUE, name="onqueue, a chain", options={"kind": "chained"})


@dataclass(frozen=True)
class _Case:
    what: str
    system: System
    jobs: int
    plain: str = ""


@dataclass(frozen=True)
class _Cost:
    dispatching: float
    """Microseconds a job."""
    working: Speed


def measure(stage: Stage) -> Outcome:
    """Dispatch and work off each sort in turn, round by round."""
    jobs = stage.jobs_for(ONQUEUE)
    cases = [
        _Case(f"{jobs:,} plain jobs", ONQUEUE, jobs),
        _Case(f"{jobs:,} unique jobs", _UNIQUE, jobs, f"{jobs:,} plain jobs"),
        _Case(f"{_LINKS:,} plain jobs", ONQUEUE, _LINKS),
        _Case(f"a chain of {_LINKS:,} links", _CHAINED, _LINKS, f"{_LINKS:,} plain jobs"),
    ]
    found: dict[str, list[_Cost]] = defaultdict(list)
    for _ in range(stage.effort.rounds):
        for case in cases:
            found[case.what].append(_cost(stage, case))
    lines = [_line(case, found) for case in cases]
    head = ("jobs", "dispatching", "against plain", "working", "against plain", "CPU of working")
    return Outcome("ties", tables=[Table("Unique jobs and chains (a job)", head, lines)])


def _cost(stage: Stage, case: _Case) -> _Cost:
    with stage.run(case.system, case.jobs) as run:
        dispatching = run.fill(0, case.jobs)
        with run.place.worker() as worker:
            working = run.speed([worker], 0, case.jobs)
        stage.faults += run.faults(0, case.jobs)
    return _Cost(dispatching / case.jobs * 1e6, working)


def _line(case: _Case, found: dict[str, list[_Cost]]) -> tuple[str, ...]:
    own = found[case.what]
    plain = found[case.plain or case.what]
    took = [[1e6 / cost.working.rate for cost in costs] for costs in (own, plain)]
    sent = [[cost.dispatching for cost in costs] for costs in (own, plain)]
    return (
        case.what,
        f"{median(sent[0]):.1f} µs",
        f"{ratio_of(*sent):.2f} ×" if case.plain else "–",
        f"{median(took[0]):.1f} µs",
        f"{ratio_of(*took):.2f} ×" if case.plain else "–",
        f"{median(cost.working.cpu for cost in own):.1f} µs",
    )
