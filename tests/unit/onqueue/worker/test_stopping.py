"""Why a worker stops and which reason wins."""

import os
from typing import Any

import pytest

from onqueue.errors import ConfigurationError
from onqueue.worker.options import WorkerOptions
from onqueue.worker.stopping import Situation, StopReason, stop_reason

EVERYTHING = {
    "broker_lost": True,
    "interrupted": True,
    "restart_requested": True,
    "empty": True,
    "memory": 600.0,
    "running_for": 100.0,
    "jobs": 10,
}
LIMITS = WorkerOptions(max_jobs=10, max_time=100, memory=600, stop_when_empty=True)


def test_when_all_reasons_hold_they_win_in_the_order_of_the_catalogue() -> None:
    """K19."""
    found = []
    holding: dict[str, Any] = dict(EVERYTHING)
    for name in ("broker_lost", "interrupted", "memory", "restart_requested", "empty"):
        found.append(stop_reason(LIMITS, Situation(**holding)))
        holding[name] = type(holding[name])()
    found.append(stop_reason(LIMITS, Situation(**holding)))
    holding["running_for"] = 0.0
    found.append(stop_reason(LIMITS, Situation(**holding)))
    assert found == list(StopReason)


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (StopReason.BROKER_LOST, 1),
        (StopReason.MEMORY, 12),
        (StopReason.INTERRUPTED, 0),
        (StopReason.RESTART, 0),
        (StopReason.EMPTY, 0),
        (StopReason.MAX_TIME, 0),
        (StopReason.MAX_JOBS, 0),
    ],
)
def test_only_memory_and_a_lost_broker_have_a_code_of_their_own(
    reason: StopReason, code: int
) -> None:
    """K18, C24."""
    assert reason.exit_code == code


def test_without_limits_nothing_but_a_wish_stops_a_worker() -> None:
    options = WorkerOptions(memory=0)
    busy = Situation(broker_lost=True, empty=True, memory=1e6, running_for=1e6, jobs=10**6)
    assert stop_reason(options, busy) is None


def test_once_is_a_limit_of_one_job_and_does_not_wait_for_it() -> None:
    once = WorkerOptions(once=True, max_jobs=50)
    assert stop_reason(once, Situation(jobs=1)) is StopReason.MAX_JOBS
    assert stop_reason(once, Situation(empty=True)) is StopReason.EMPTY


def test_all_unusable_options_are_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        WorkerOptions(tries=-1, sleep=-2, backoff=(), queues=("a", ""))
    assert [name for name in ("tries", "sleep", "backoff", "queues") if name in str(caught.value)]
    assert len(caught.value.problems) == 4


def test_a_core_that_is_not_there_is_no_option() -> None:
    cores = os.sched_getaffinity(0)
    assert WorkerOptions(core=min(cores)).kept_core == min(cores)
    assert WorkerOptions(core=-1).kept_core == max(cores)
    assert WorkerOptions().kept_core is None
    with pytest.raises(ConfigurationError, match="'core' must be one this process may use"):
        WorkerOptions(core=99_999)
    with pytest.raises(ConfigurationError, match="or -1 for the last of them, not -2"):
        WorkerOptions(core=-2)


@pytest.mark.parametrize("figure", [float("nan"), float("inf")])
def test_a_figure_that_is_no_number_is_no_option(figure: float) -> None:
    with pytest.raises(ConfigurationError, match="'timeout' must be a number"):
        WorkerOptions(timeout=figure)
    with pytest.raises(ConfigurationError, match="'backoff' must be"):
        WorkerOptions(backoff=(figure,))
