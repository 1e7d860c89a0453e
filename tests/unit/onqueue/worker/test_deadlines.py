"""Soft, then hard."""

from onqueue.worker.deadlines import LOOK, Deadlines, Due
from onqueue.worker.prefetch import Prefetch
from onqueue.worker.shared import Running


def running(number: int = 1, started: float = 100.0, timeout: float = 10.0) -> Running:
    return Running(number, "0" * 32, started, timeout, 0, 0)


def test_a_job_is_told_once_at_its_timeout_and_killed_after_the_grace() -> None:
    deadlines = Deadlines(grace=5.0)
    dues = [deadlines.due(running(), now) for now in (109.9, 110.0, 111.0, 114.9, 115.0, 116.0)]
    assert dues == [Due.NOTHING, Due.SOFT, Due.NOTHING, Due.NOTHING, Due.HARD, Due.HARD]


def test_a_short_job_gets_no_more_grace_than_its_timeout_was() -> None:
    deadlines = Deadlines(grace=5.0)
    assert deadlines.due(running(timeout=0.5), 100.5) is Due.SOFT
    assert deadlines.due(running(timeout=0.5), 101.0) is Due.HARD


def test_the_next_job_has_a_deadline_of_its_own() -> None:
    deadlines = Deadlines()
    assert deadlines.due(running(1), 110.0) is Due.SOFT
    assert deadlines.due(running(2, started=109.0), 115.5) is Due.NOTHING
    assert deadlines.due(running(2, started=109.0), 119.0) is Due.SOFT


def test_a_job_without_timeout_has_no_deadline() -> None:
    assert Deadlines().due(running(timeout=0), 1e9) is Due.NOTHING
    assert Deadlines().due(None, 1e9) is Due.NOTHING


def test_short_jobs_are_looked_at_often_and_a_long_one_when_it_is_due() -> None:
    deadlines = Deadlines(grace=5.0)
    assert deadlines.next_look(None, 100.0) == LOOK
    assert deadlines.next_look(running(), 100.05) == LOOK
    assert deadlines.next_look(running(), 104.0) == 6.0
    assert deadlines.next_look(running(timeout=0), 104.0) is None
    deadlines.due(running(), 110.0)
    assert deadlines.next_look(running(), 112.0) == 3.0


def test_prefetch_doubles_while_jobs_are_short_and_falls_at_once() -> None:
    prefetch = Prefetch(128)
    wants = []
    for _ in range(9):
        wants.append(prefetch.want())
        prefetch.learn(wants[-1], 0.00002 * wants[-1])
    assert wants == [1, 2, 4, 8, 16, 32, 64, 128, 128]
    prefetch.learn(128, 128 * 0.05)
    assert prefetch.want() == 1
    assert Prefetch(128).want(left=0) == 0


def test_a_job_is_held_for_each_thread_while_jobs_are_short() -> None:
    prefetch = Prefetch(128)
    told = [prefetch.is_short]
    for seconds in (0.2, 0.001, 0.001, 0.001):
        prefetch.learn(1, seconds)
        told.append(prefetch.is_short)
    assert (told[0], told[1], told[-1]) == (True, False, True)
    assert not Prefetch(1).is_short
