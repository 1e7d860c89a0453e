"""The page of the docs that shows a complete run."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report import Outcome, grid, verdict_grid
from bench.stage import Effort

_HEAD = """# Benchmark

`make bench` wrote this page. It starts one private Valkey with the platform's own settings and runs
every system on it in turn, round by round, so that a slow minute of the machine hits all of them.
Ratios are taken round by round, and their median counts; figures in seconds belong to the machine.

- A no-op job notes its number in memory that all processes share. Each job must have run exactly
  once, else the run fails. Speed fails nothing.
- A worker is timed while it works off jobs that wait, from the tenth part of them on: it is up and
  warm by then. Our worker is `onqueue work` with its defaults: leased, fenced, every start counted.
- The others run in an environment of their own with the client they are made for, results and
  events off. Their set-ups are below; those left out were slower.
- Jobs with a limit, in a batch, of tenants, unique or in a chain do nothing else than plain ones;
  the limit never turns one away. Unique jobs and chains have no bound.
- What is compared with itself takes short turns: plain jobs and those with more to them, one worker
  and two. While one side works, the others stand still with what they have in hand, on the same
  server. Of each turn the ratio to its neighbour is taken, the median of all rounds, and the mean
  of all turns: so neither a slow second nor the last jobs of a list, which may cost more, are lost.
- CPU time is read from the clocks of the processes, which count nanoseconds.
- The raw floor is one Lua call after the other, each popping, reserving and acking 100 jobs.

`make bench ARGS="--quick"` takes two minutes, `--rows throughput,latency` some rows only,
`--rounds` and `--jobs` more of them, `--appendfsync everysec` a journal written once a second. The
same stands as JSON in `var/bench/report.json`.
"""


def page(outcomes: Sequence[Outcome], machine: dict[str, str], effort: Effort) -> str:
    """Return the Markdown of a complete run."""
    parts = [
        _HEAD,
        f"## The last run\n\n{grid(('', ''), list(machine.items()))}",
        f"{effort.rounds} rounds of about {effort.seconds:g} s for each worker.\n",
        f"## What must be, and is\n\n{verdict_grid(outcomes)}",
        "## The figures behind it\n",
        *(table.markdown() for outcome in outcomes for table in outcome.tables),
    ]
    return "\n".join(parts)
