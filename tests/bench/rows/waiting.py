"""What a job costs while 10, 10,000 and 1,000,000 others wait behind it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median

from bench.report import Outcome, Table, Verdict
from bench.stage import Run, Speed, Stage
from bench.systems import ONQUEUE


def measure(stage: Stage) -> Outcome:
    """Fill a connection for each depth, all on the one server, and measure them in turn."""
    effort = stage.effort
    depths = (10, 10_000, 50_000) if effort.is_quick else (10, 10_000, 1_000_000)
    jobs = min(effort.jobs, 20_000)
    speeds: dict[int, list[Speed]] = defaultdict(list)
    stage.server.empty()
    with ExitStack() as stack:
        runs = {depth: stack.enter_context(_deep(stage, depth, jobs)) for depth in depths}
        for _ in range(effort.rounds):
            for depth, deep in runs.items():
                speeds[depth].append(deep.speed(jobs))
        stage.faults += [fault for deep in runs.values() for fault in deep.faults()]
    # CPU time, as a cost that grows shows there whatever else the machine does meanwhile.
    costs = {depth: [speed.cpu for speed in found] for depth, found in speeds.items()}
    spread = max(_against_shallow(costs, depth) for depth in depths[1:])
    cells = ", ".join(f"{median(costs[depth]):.1f} µs with {depth:,}" for depth in depths)
    others = " and ".join(f"{depth:,}" for depth in depths[1:])
    what = f"CPU a job, worker and server, with {others} waiting against {depths[0]}"
    return Outcome(
        "waiting",
        [Verdict(what, spread, 1.2, f"{spread:.2f} × ({cells})", "≤ 1.2 ×", is_ceiling=True)],
        [_table(speeds)],
    )


def _against_shallow(costs: dict[int, list[float]], depth: int) -> float:
    shallow = costs[min(costs)]
    return median(deep / top for deep, top in zip(costs[depth], shallow, strict=True))


@dataclass
class _Depth:
    """One connection with so many jobs always waiting behind those that are timed."""

    run: Run
    waiting: int
    filled: int = 0

    def speed(self, jobs: int) -> Speed:
        """Top up, then time the next `jobs` jobs."""
        first = self.done()
        missing = first + jobs + self.waiting - self.filled
        if missing > 0:
            self.run.fill(self.filled, self.filled + missing)
            self.filled += missing
        with self.run.place.worker() as worker:
            return self.run.speed([worker], first, first + jobs)

    def done(self) -> int:
        """Return how many have run; they run in the order in which they were dispatched."""
        return self.run.ledger.done(0, self.filled)

    def faults(self) -> list[str]:
        """Say what was lost or run twice."""
        return self.run.faults(0, self.done())


@contextmanager
def _deep(stage: Stage, depth: int, jobs: int) -> Iterator[_Depth]:
    most = (depth + jobs) * (1 + stage.effort.rounds)
    connection = f"deep-{depth}"
    with stage.run(ONQUEUE, most, must_empty=False, connection=connection) as run:
        yield _Depth(run, depth)


def _table(speeds: dict[int, list[Speed]]) -> Table:
    lines = [
        (
            f"{depth:,}",
            f"{median(speed.rate for speed in found):,.0f}",
            f"{median(speed.worker_cpu for speed in found):.1f} µs",
            f"{median(speed.server_cpu for speed in found):.1f} µs",
        )
        for depth, found in speeds.items()
    ]
    head = ("waiting", "jobs/s", "worker CPU", "server CPU")
    return Table("Jobs waiting behind (CPU is per job)", head, lines)
