"""One worker process running no-op jobs: ours, the others in all their set-ups, and the floor."""

from __future__ import annotations

from collections import defaultdict
from statistics import median

from bench.floor import floor_rate
from bench.report import Outcome, Table, Verdict, ratio_of
from bench.stage import Speed, Stage
from bench.systems import ONQUEUE, PEERS, System


def measure(stage: Stage) -> Outcome:
    """Measure all systems in turn, round by round."""
    effort = stage.effort
    systems = [ONQUEUE, *(peer for peer in PEERS if peer.is_quick or not effort.is_quick)]
    jobs = {system.name: stage.jobs_for(system) for system in systems}
    speeds: dict[str, list[Speed]] = defaultdict(list)
    floors = []
    for _ in range(effort.rounds):
        floors.append(floor_rate(stage.server, effort.jobs))
        for system in systems:
            speeds[system.name].append(stage.speed(system, jobs[system.name]))
    rates = {name: [speed.rate for speed in found] for name, found in speeds.items()}
    return Outcome(
        "throughput",
        _verdicts(systems, rates, floors),
        [_table(systems, speeds, floors)],
    )


def _verdicts(
    systems: list[System], rates: dict[str, list[float]], floors: list[float]
) -> list[Verdict]:
    ours = rates[ONQUEUE.name]
    peers = sorted(systems[1:], key=lambda system: -median(rates[system.name]))
    dramatiq = next(system for system in peers if system.family == "Dramatiq")
    return [
        _verdict(f"Dramatiq ({_set_up(dramatiq)})", ours, rates[dramatiq.name], 5.0),
        _verdict(f"the fastest other ({peers[0].name})", ours, rates[peers[0].name], 3.0),
        _verdict("the raw floor", ours, floors, 0.25),
    ]


def _set_up(system: System) -> str:
    return system.name.partition(", ")[2]


def _verdict(other: str, ours: list[float], theirs: list[float], need: float) -> Verdict:
    ratio = ratio_of(ours, theirs)
    shown = f"{ratio:.2f} × ({median(ours):,.0f} against {median(theirs):,.0f} jobs/s)"
    what = f"one worker process, no-op jobs, against {other}"
    return Verdict(what, ratio, need, shown, f"≥ {need:g} ×")


def _table(systems: list[System], speeds: dict[str, list[Speed]], floors: list[float]) -> Table:
    ours = median(speed.rate for speed in speeds[ONQUEUE.name])
    lines = [
        ("raw floor", "–", f"{median(floors):,.0f}", f"{ours / median(floors):.2f} ×", "–", "–")
    ]
    by_speed = sorted(systems, key=lambda one: -median(speed.rate for speed in speeds[one.name]))
    for system in by_speed:
        found = speeds[system.name]
        rate = median(speed.rate for speed in found)
        lines.append((
            system.name,
            system.safety,
            f"{rate:,.0f}",
            f"{ours / rate:.1f} ×",
            f"{median(speed.worker_cpu for speed in found):,.0f} µs",
            f"{median(speed.server_cpu for speed in found):,.0f} µs",
        ))  # fmt: skip
    head = ("system", "a killed worker's jobs", "jobs/s", "onqueue is", "worker CPU", "server CPU")
    return Table("One worker process, no-op jobs (CPU is per job)", head, lines)
