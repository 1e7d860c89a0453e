"""A worker killed at each step of the cycle: what it had in hand is neither lost nor done twice."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from onqueue import dispatch_many
from onqueue.worker import WorkerOptions
from support.waiting import eventually
from support.worker_forks import ForkedWorker, make_test_manager
from support.worker_jobs import Die, Step, read_ledger

pytestmark = pytest.mark.crash

LEASE = 0.8
LONG_LEASE = 5.0  # for parents that live on: on a busy machine it must not lapse
OPTIONS = WorkerOptions(memory=0)

CHILD_STEPS = {
    "turn:before": 3,
    "turn:after": 3,
    "mark:before": 3,
    "mark:after": 3,
    "release:before": 1,
    "release:after": 1,
    "fail:before": 1,
    "fail:after": 1,
}
PARENT_STEPS = {
    "open:before": 2,
    "open:after": 2,
    "renew:before": 1,
    "renew:after": 1,
    "bury:before": 1,
    "bury:after": 1,
    "reap:before": 2,
    "reap:after": 2,
}
CASES = [
    (point, nth, victim)
    for steps, victims in (
        (CHILD_STEPS, ("child", "parent", "group")),
        (PARENT_STEPS, ("parent", "group")),
    )
    for point, nth in steps.items()
    for victim in victims
]


@pytest.fixture
def workers() -> Iterator[list[ForkedWorker]]:
    started: list[ForkedWorker] = []
    yield started
    for worker in started:
        worker.end()


@pytest.mark.parametrize(("point", "nth", "victim"), CASES)
def test_a_kill_at_this_step_loses_nothing_and_counts_right(
    tmp_path: Path,
    redis_url: str,
    workers: list[ForkedWorker],
    point: str,
    nth: int,
    victim: str,
) -> None:
    manager = make_test_manager(tmp_path, redis_url, lease=LEASE)
    jobs: list[Step | Die] = [Step(f"s{number}") for number in range(8)]
    jobs += [Step("again", snoozes=True), Step("failing", fails=True), Die("dies", "kill", 1)]
    ids = dict(zip(dispatch_many(jobs), jobs, strict=True))
    marker = tmp_path / "struck"
    failpoint = {"point": point, "nth": nth, "victim": victim, "marker": str(marker)}
    failing = "onqueue.testing.failpoints:FailingQueue"
    lease = LONG_LEASE if victim == "child" else LEASE
    workers.append(
        ForkedWorker(tmp_path, redis_url, OPTIONS, lease=lease, driver=failing, options=failpoint)
    )
    eventually(marker.exists)
    workers.append(ForkedWorker(tmp_path, redis_url, OPTIONS, lease=LONG_LEASE))
    # Not by the size of the queue: a job on its way from one state to the next is in none.
    eventually(lambda: not manager.connection().knows(list(ids)))
    manager.close()

    lines = read_ledger(tmp_path / "ledger")
    failures = [line.split(" ") for line in (tmp_path / "ledger.failed").read_text().splitlines()]
    assert {failure[0] for failure in failures} == {
        job_id for job_id, job in ids.items() if job.label == "failing"
    }
    effects = Counter(line.label for line in lines if line.what == "effect")
    assert effects.keys() == {job.label for job in jobs} - {"dies"}
    twice = {label for label, count in effects.items() if count > 1} - {"again"}
    assert len(twice) <= 1, f"only the job at hand may have run twice, not {twice}"
    _check_attempts(point, [(line.label, line.attempts) for line in lines if "start" in line.what])


def _check_attempts(point: str, starts: list[tuple[str, int]]) -> None:
    """Only a job that was marked as started has lost an attempt without a line of its own.

    While the parent renews or reaps, its child may be right between a mark and the job's line.
    """
    first: dict[str, int] = {}
    for label, attempts in starts:
        first.setdefault(label, attempts)
    cut = [label for label, attempts in first.items() if attempts > 1]
    allowed = {1} if point == "mark:after" else {0}
    if point.startswith(("renew:", "reap:")):
        allowed = {0, 1}
    assert len(cut) in allowed, f"{cut} began with a spent attempt"
