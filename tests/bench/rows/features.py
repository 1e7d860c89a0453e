"""What jobs with a limit, in a batch or of tenants cost against the same jobs without."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

from bench.report import Outcome, Table, Verdict, ratio_of
from bench.systems import ONQUEUE, System

if TYPE_CHECKING:
    from bench.stage import Speed, Stage

_MOST_TENANTS = 10_000
_LIMITED, _BATCHED, _ONE_TENANT = "with a rate limit on", "as members of a batch", "of one tenant"

Found = dict[str, "list[Speed]"]


def _system(what: str, **options: object) -> System:
    return replace(ONQUEUE, name=f"onqueue, jobs {what}", options=options)


def measure(stage: Stage) -> Outcome:
    """Measure all sorts of jobs in turn, round by round."""
    jobs = stage.jobs_for(ONQUEUE)
    tenants = min(_MOST_TENANTS, jobs)
    many = f"of {tenants:,} tenants"
    systems = {
        "plain": ONQUEUE,
        _LIMITED: _system(_LIMITED, kind="limited"),
        _BATCHED: _system(_BATCHED, kind="batched"),
        _ONE_TENANT: _system(_ONE_TENANT, kind="fair", tenants=1),
        many: _system(many, kind="fair", tenants=tenants),
    }
    found: Found = defaultdict(list)
    for _ in range(stage.effort.rounds):
        for what, system in systems.items():
            found[what].append(stage.speed(system, jobs))
    verdicts = [_against_plain(found, what) for what in (_LIMITED, _BATCHED, _ONE_TENANT, many)]
    return Outcome("features", [*verdicts, _flatness(found, many)], [_table(found)])


def _against_plain(found: Found, what: str) -> Verdict:
    ours = [speed.rate for speed in found[what]]
    plain = [speed.rate for speed in found["plain"]]
    ratio = ratio_of(ours, plain)
    shown = f"{ratio:.2f} × ({median(ours):,.0f} against {median(plain):,.0f} jobs/s)"
    return Verdict(f"no-op jobs {what}, against plain", ratio, 0.75, shown, "≥ 0.75 ×")


def _flatness(found: Found, many: str) -> Verdict:
    # CPU time, as in the row of those that wait behind.
    one, others = ([speed.cpu for speed in found[what]] for what in (_ONE_TENANT, many))
    ratio = ratio_of(others, one)
    shown = f"{ratio:.2f} × ({median(others):.1f} µs against {median(one):.1f} µs)"
    what = f"CPU a job, worker and server, {many} against one"
    return Verdict(what, ratio, 1.2, shown, "≤ 1.2 ×", is_ceiling=True)


def _table(found: Found) -> Table:
    plain = found["plain"]
    lines = [
        (
            what,
            f"{median(speed.rate for speed in speeds):,.0f}",
            f"{median(speed.worker_cpu for speed in speeds):.1f} µs",
            f"{median(speed.server_cpu for speed in speeds):.1f} µs",
            f"{ratio_of([one.cpu for one in speeds], [one.cpu for one in plain]):.2f} ×",
        )
        for what, speeds in found.items()
    ]
    head = ("jobs", "jobs/s", "worker CPU", "server CPU", "both against plain")
    return Table("With a limit, in a batch, of tenants (CPU is per job)", head, lines)
