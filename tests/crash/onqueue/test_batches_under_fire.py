"""Batches under fire: each member is counted once, each callback comes once, whoever is killed.

`--seed` repeats the choices of a run that was printed.
"""

import os
import random
import secrets
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from onqueue import Batch, batch
from support.plan_jobs import Once, PlanApp, Sure
from support.servers import private_valkey
from support.waiting import eventually
from support.worker_forks import ForkedWorker

pytestmark = pytest.mark.crash

LEASE = 0.5
WORKERS = 3
LINKS = 4
"""Members of each inner chain; of the ones that break, the second fails."""


class Fire:
    """Two batches, one with chains that break, and workers that are killed while they run."""

    def __init__(
        self, directory: Path, url: str, seed: int, members: int, kills: int, store: str
    ) -> None:
        self._app = PlanApp(directory, url, lease=LEASE, batches=store)
        self._random = random.Random(seed)
        self._members = members
        self._kills = kills
        self._workers: list[ForkedWorker] = []

    def run(self) -> None:
        """Dispatch, kill, let the rest be done, and hold the figures against the rules."""
        try:
            broken = self._dispatch("broken", breaks=True)
            whole = self._dispatch("whole", breaks=False)
            self._strike()
            eventually(lambda: self._is_over(broken, whole), within=120.0, every=0.05)
            self._check(broken, "broken", breaks=True)
            self._check(whole, "whole", breaks=False)
        finally:
            for worker in self._workers:
                worker.end()
            self._app.close()

    def _dispatch(self, name: str, *, breaks: bool) -> Batch:
        members: list[Sure | list[Sure]] = []
        for number in range(self._members):
            label = f"{name}{number}"
            if number % 10:
                members.append(Sure(label))
            else:
                links = range(LINKS)
                members.append([Sure(f"{label}.{at}", fails=breaks and at == 1) for at in links])
        pending = (
            batch(members).name(name).allow_failures(breaks).progress(Once(f"progress-{name}"))
        )
        for moment in ("then", "catch", "finally_"):
            getattr(pending, moment)(Once(f"{moment}-{name}"))
        return pending.dispatch()

    # ---- harm ----

    def _strike(self) -> None:
        """Kill a child, a parent or a whole worker, each time some more jobs are done."""
        total = 2 * self._members
        for strike in range(self._kills):
            goal = total * strike // (self._kills + 1)
            eventually(partial(self._has_done, goal), within=120.0, every=0.01)
            worker = self._random.choice(self._workers)
            chance = self._random.random()
            if chance < 0.6:
                for pid in worker.children():
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            else:
                worker.signal(signal.SIGKILL, group=chance > 0.8)

    def _has_done(self, goal: int) -> bool:
        self._staff()
        return len(self._app.ran()) >= goal

    def _staff(self) -> None:
        self._workers = [worker for worker in self._workers if worker.is_alive()]
        while len(self._workers) < WORKERS:
            self._workers.append(self._app.work(timeout=20))

    # ---- the end ----

    def _is_over(self, *batches: Batch) -> bool:
        self._staff()
        return self._app.is_empty() and all(one.fresh().finished for one in batches)

    def _check(self, found: Batch, name: str, *, breaks: bool) -> None:
        state = found.fresh().state
        chains = (self._members + 9) // 10
        failed = chains if breaks else 0
        broken = (LINKS - 2) * failed
        total = self._members + (LINKS - 1) * chains
        assert (state.total, state.pending, state.failed, state.broken) == (
            *(total, 0, failed, broken),
        )
        assert state.succeeded == total - failed - broken
        assert state.cancelled == state.skipped == 0
        ran = set(self._app.ran(name))
        assert len(ran) == total - broken
        self._check_told(f"then-{name}", 1)
        self._check_told(f"finally_-{name}", 1)
        self._check_told(f"catch-{name}", int(breaks))
        self._check_told(f"progress-{name}", total - broken)

    def _check_told(self, label: str, times: int) -> None:
        """Each callback is one job; only one whose worker was killed ran more than once."""
        lines = [line for line in self._app.lines() if line.label == label]
        told = {line.what.split(":")[1] for line in lines}
        assert len(told) == times, f"{label} was called as {len(told)} jobs, not {times}"
        runs = [(line.what.split(":")[1], line.attempts) for line in lines]
        assert len(runs) == len(set(runs)), f"{label} ran twice in one attempt"


def _fire(
    request: pytest.FixtureRequest,
    directory: Path,
    members: int,
    kills: int,
    store: str = "connection",
) -> None:
    given = request.config.getoption("--seed")
    seed = secrets.randbelow(1_000_000) if given is None else given
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    with private_valkey(appendfsync="no") as server:
        Fire(directory, server.url, seed, members, kills, store).run()


def test_5_kills_count_no_member_twice(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """C66. C69. C71. C74."""
    _fire(request, tmp_path, members=110, kills=5)


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_200_kills_count_no_member_of_10_000_twice(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """C66. C69. C71. C74."""
    _fire(request, tmp_path, members=4000, kills=200)


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_60_kills_count_no_member_twice_in_a_database(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """C66. C69. C71. C74."""
    _fire(request, tmp_path, members=500, kills=60, store="database")
