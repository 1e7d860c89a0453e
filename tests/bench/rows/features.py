"""What jobs with a limit, in a batch or of tenants cost against the same jobs without.

All sorts wait on one server, each on a connection with a worker of its own, and take turns: while
one worker runs a fifth of its jobs the others stand still. Who begins moves on from turn to turn.
So a turn and its neighbours see the same machine, which may be slower or faster a minute later.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

from bench.report import Outcome, Table, Verdict, ratio_of_turns
from bench.systems import ONQUEUE, System

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.stage import Speed, Stage

_MOST_TENANTS = 10_000
_TURNS = 5
_PLAIN, _LIMITED, _BATCHED = "plain", "with a rate limit on", "as members of a batch"
_ONE_TENANT = "of one tenant"

Found = dict[str, "list[list[Speed]]"]
"""What was found of each sort: a list for each round, with the speed of each turn."""


def _system(what: str, **options: object) -> System:
    return replace(ONQUEUE, name=f"onqueue, jobs {what}", options=options)


def measure(stage: Stage) -> Outcome:
    """Measure all sorts of jobs in turns, round by round."""
    jobs = stage.effort.jobs
    tenants = min(_MOST_TENANTS, jobs)
    many = f"of {tenants:,} tenants"
    systems = {
        _PLAIN: ONQUEUE,
        _LIMITED: _system(_LIMITED, kind="limited"),
        _BATCHED: _system(_BATCHED, kind="batched"),
        _ONE_TENANT: _system(_ONE_TENANT, kind="fair", tenants=1),
        many: _system(many, kind="fair", tenants=tenants),
    }
    found: Found = defaultdict(list)
    for number in range(stage.effort.rounds):
        for what, speeds in _round(stage, systems, jobs, number).items():
            found[what].append(speeds)
    verdicts = [_against_plain(found, what) for what in (_LIMITED, _BATCHED, _ONE_TENANT, many)]
    return Outcome("features", [*verdicts, _flatness(found, many)], [_table(found)])


def _round(
    stage: Stage, systems: dict[str, System], jobs: int, number: int
) -> dict[str, list[Speed]]:
    """Return the speeds of all sorts in each of their turns."""
    speeds: dict[str, list[Speed]] = {what: [] for what in systems}
    names = list(systems)
    stage.server.empty()
    with ExitStack() as stack:
        runs = {}
        for at, (what, system) in enumerate(systems.items()):
            place = stage.run(system, jobs, must_empty=False, connection=f"sort-{at}")
            runs[what] = stack.enter_context(place)
            runs[what].fill(0, jobs)
        with ExitStack() as work:
            workers = {what: work.enter_context(run.ready_worker()) for what, run in runs.items()}
            for turn in range(_TURNS):
                first = (number + turn) % len(names)
                for what in names[first:] + names[:first]:
                    speeds[what].append(runs[what].turn([workers[what]], 1 / (_TURNS - turn)))
            for what, run in runs.items():
                run.finish(workers[what])
        stage.faults += [fault for run in runs.values() for fault in run.faults(0, jobs)]
    return speeds


def _figures(found: Found, what: str, of: Callable[[Speed], float]) -> list[list[float]]:
    return [[of(speed) for speed in speeds] for speeds in found[what]]


def _middle(found: Found, what: str, of: Callable[[Speed], float]) -> float:
    return median(figure for figures in _figures(found, what, of) for figure in figures)


def _rate(speed: Speed) -> float:
    return speed.rate


def _cpu(speed: Speed) -> float:
    return speed.cpu


def _against_plain(found: Found, what: str) -> Verdict:
    ratio = ratio_of_turns(_figures(found, what, _rate), _figures(found, _PLAIN, _rate))
    ours, plain = _middle(found, what, _rate), _middle(found, _PLAIN, _rate)
    shown = f"{ratio:.2f} × ({ours:,.0f} against {plain:,.0f} jobs/s)"
    return Verdict(f"no-op jobs {what}, against plain", ratio, 0.75, shown, "≥ 0.75 ×")


def _flatness(found: Found, many: str) -> Verdict:
    # CPU time, as in the row of those that wait behind.
    ratio = ratio_of_turns(_figures(found, many, _cpu), _figures(found, _ONE_TENANT, _cpu))
    others, one = _middle(found, many, _cpu), _middle(found, _ONE_TENANT, _cpu)
    shown = f"{ratio:.2f} × ({others:.1f} µs against {one:.1f} µs)"
    what = f"CPU a job, worker and server, {many} against one"
    return Verdict(what, ratio, 1.2, shown, "≤ 1.2 ×", is_ceiling=True)


def _table(found: Found) -> Table:
    plain = _figures(found, _PLAIN, _cpu)
    lines = [
        (
            what,
            f"{_middle(found, what, _rate):,.0f}",
            f"{_middle(found, what, lambda speed: speed.worker_cpu):.1f} µs",
            f"{_middle(found, what, lambda speed: speed.server_cpu):.1f} µs",
            f"{ratio_of_turns(_figures(found, what, _cpu), plain):.2f} ×",
        )
        for what in found
    ]
    head = ("jobs", "jobs/s", "worker CPU", "server CPU", "both against plain")
    return Table("With a limit, in a batch, of tenants (CPU is per job)", head, lines)
