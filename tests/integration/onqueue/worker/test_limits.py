"""Limits and pauses as a worker lives with them: real processes on a real broker."""

import os
import signal
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from onqueue import QueueManager, dispatch_many, using
from onqueue.clock import SystemClock
from onqueue.quotas import Pause, PausesWork
from onqueue.worker import WorkerOptions
from support.limited_jobs import WINDOW, Inside, Limited, Refused
from support.waiting import eventually
from support.worker_forks import ForkedWorker, make_test_manager
from support.worker_jobs import Line, Quick, read_ledger

BRIEF = 1.5
"""The lease, in seconds, of a worker that will be killed."""

OPTIONS = WorkerOptions(memory=0)
clock = SystemClock()
Start = Callable[..., ForkedWorker]


@pytest.fixture
def manager(tmp_path: Path, redis_url: str) -> Iterator[QueueManager]:
    """What the test dispatches with; jobs note in the ledger of `tmp_path`."""
    manager = make_test_manager(tmp_path, redis_url)
    yield manager
    manager.close()


@pytest.fixture
def start(tmp_path: Path, redis_url: str, manager: QueueManager) -> Iterator[Start]:
    """Start a worker that looks by itself every five minutes, so whatever it runs woke it."""
    started: list[ForkedWorker] = []

    def start(**settings: Any) -> ForkedWorker:
        started.append(ForkedWorker(tmp_path, redis_url, OPTIONS, block_for=300.0, **settings))
        return started[-1]

    yield start
    for worker in started:
        worker.end()


def lines(directory: Path, what: str = "ran") -> list[Line]:
    """Return what jobs noted, of one kind."""
    return [line for line in read_ledger(directory / "ledger") if line.what == what]


def seconds_of_cpu(worker: ForkedWorker) -> float:
    """Return the processor time of a worker's two processes."""
    used = 0
    for pid in (worker.pid, *worker.children()):
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        used += int(fields[11]) + int(fields[12])
    return used / os.sysconf("SC_CLK_TCK")


def ended(manager: QueueManager) -> bool:
    """Tell whether every job has an outcome."""
    return manager.connection().size("default").total == 0


def test_a_rate_keeps_order_and_attempts_and_leaves_other_tenants_and_the_processor_alone(
    tmp_path: Path, manager: QueueManager, start: Start
) -> None:
    """C54, B4."""
    acme = [f"a{number}" for number in range(40)]
    dispatch_many([Limited(label) for label in acme])
    dispatch_many([Quick(f"q{number}") for number in range(40)])
    dispatch_many([Limited(f"g{number}", "globex") for number in range(2)])
    worker = start()
    eventually(lambda: len(lines(tmp_path)) >= 46)
    before, began = seconds_of_cpu(worker), clock.monotonic()
    eventually(lambda: ended(manager))
    used = (seconds_of_cpu(worker) - before) / (clock.monotonic() - began)
    ran = [line for line in lines(tmp_path) if line.label in acme]
    assert [line.label for line in ran] == acme
    assert {line.attempts for line in ran} == {1}
    starts = [line.at for line in ran]
    # A busy machine delays single starts, but no nine ever fit into seven windows.
    assert min(later - first for first, later in zip(starts, starts[8:], strict=False)) > WINDOW * 7
    others = [line.at for line in lines(tmp_path) if line.label[0] in "qg"]
    assert max(others) < starts[-1], "they were held up"
    assert used < 0.5, f"{used:.0%} of a processor for waiting"


def test_the_slot_of_a_killed_worker_is_free_within_a_lease(
    tmp_path: Path, manager: QueueManager, start: Start
) -> None:
    """B4: and not when the job that had it would have ended, for which no test waits."""
    dispatch_many([Limited("first", limiter="one at once", seconds=600)])
    doomed = start(lease=BRIEF)
    eventually(lambda: bool(lines(tmp_path)))
    dispatch_many([Limited("second", limiter="one at once")])
    start()
    eventually(lambda: manager.connection().size("default").parked == 1)
    doomed.signal(signal.SIGKILL, group=True)
    eventually(lambda: len(lines(tmp_path)) >= 2)
    assert lines(tmp_path)[1].label == "second"


def test_who_waits_when_its_worker_is_killed_runs_when_its_turn_comes(
    tmp_path: Path, manager: QueueManager, start: Start
) -> None:
    labels = ["a", "b", "c"]
    dispatch_many([Limited(label, limiter="half a second") for label in labels])
    doomed = start(lease=BRIEF)
    eventually(lambda: manager.connection().size("default").parked == 2)
    doomed.signal(signal.SIGKILL, group=True)
    start()
    eventually(lambda: ended(manager))
    ran = lines(tmp_path)
    assert [(line.label, line.attempts) for line in ran] == [(label, 1) for label in labels]
    # What is half a second apart is noted a little later, and not all equally late.
    assert all(later.at - first.at > 0.1 for first, later in pairwise(ran))


def test_a_job_whose_limiter_nobody_defined_fails_at_once_and_says_so(
    tmp_path: Path, manager: QueueManager, start: Start
) -> None:
    """C54."""
    dispatch_many([Limited("lost", limiter="apj"), Quick("next")])
    start()
    eventually(lambda: ended(manager))
    assert [line.label for line in lines(tmp_path)] == ["next"]
    [failure] = (tmp_path / "ledger.failed").read_text().splitlines()
    assert failure.split(" ")[1:] == ["UnknownLimiter", "1"]


def test_exhausted_tries_under_a_circuit_breaker_tell_the_cause(
    tmp_path: Path, manager: QueueManager, start: Start
) -> None:
    """C55."""
    dispatch_many([Refused("a"), Refused("b")])
    start()
    eventually(lambda: ended(manager))
    failures = [
        line.split(" ")[1:] for line in (tmp_path / "ledger.failed").read_text().splitlines()
    ]
    assert failures == [["ConnectionRefusedError", "2"]] * 2
    runs = [line.at for line in lines(tmp_path)]
    assert runs[2] - runs[0] > 0.25, "it was open"


def test_limits_inside_a_job_let_it_through_or_raise(
    tmp_path: Path, manager: QueueManager, start: Start
) -> None:
    dispatch_many([Inside(what, what) for what in ("throttle", "funnel", "lock")])
    start()
    eventually(lambda: ended(manager))
    noted = {(line.label, line.what) for line in read_ledger(tmp_path / "ledger")}
    inside = {(what, "inside") for what in ("throttle", "funnel", "lock")}
    assert noted == {*inside, ("throttle", "reached"), ("funnel", "twice"), ("lock", "twice")}


def test_jobs_of_a_paused_class_or_tenant_wait_in_order_while_others_run(
    tmp_path: Path, redis_url: str, manager: QueueManager, start: Start
) -> None:
    """K27."""
    queue = manager.connection()
    assert isinstance(queue, PausesWork)
    queue.pause_work(Pause("job", "Limited", "the provider is down"))
    queue.pause_work(Pause("tenant", "acme"))
    dispatch_many([Limited(f"l{number}", f"t{number}") for number in range(3)])
    acme = QueueManager(
        "redis",
        {"redis": {"driver": "redis", "url": redis_url}},
        manager.failed,
        context=lambda: {"tenant": "acme"},
    )
    with using(acme):
        dispatch_many([Quick(f"a{number}") for number in range(3)])
    dispatch_many([Quick("free")])
    start()
    eventually(lambda: [line.label for line in lines(tmp_path)] == ["free"])
    eventually(lambda: manager.connection().size("default").parked == 6)
    queue.resume_work("tenant", "acme")
    eventually(lambda: [line.label for line in lines(tmp_path)[1:]] == ["a0", "a1", "a2"])
    queue.resume_work("job", "Limited")
    eventually(lambda: ended(manager))
    assert [line.label for line in lines(tmp_path)[4:]] == ["l0", "l1", "l2"]
    assert {line.attempts for line in lines(tmp_path)} == {1}
    acme.close()
