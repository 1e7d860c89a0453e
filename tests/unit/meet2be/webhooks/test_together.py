import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from meet2be.webhooks import together
from meet2be.webhooks.together import PACE, Together
from onqueue.testing.clock import FakeClock
from support.waiting import eventually


def test_who_comes_meanwhile_is_written_together_and_one_error_is_ones_own() -> None:
    batches: list[list[int]] = []
    is_begun, may_go_on = threading.Event(), threading.Event()

    def act(items: Sequence[int]) -> list[str]:
        batches.append(list(items))
        if 0 in items:
            is_begun.set()
            may_go_on.wait(60)
        if 3 in items:
            raise ValueError("three")
        return [str(item) for item in items]

    writing = Together(act)
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(writing.do, 0)
        assert is_begun.wait(60)
        others = [pool.submit(writing.do, number) for number in range(1, 6)]
        eventually(lambda: len(writing._waiting) == 5)
        may_go_on.set()
        assert first.result(60) == "0"
        with pytest.raises(ValueError, match="three"):
            others[2].result(60)
        assert [each.result(60) for each in others if each is not others[2]] == list("1245")
    assert batches[0] == [0]
    assert sorted(batches[1]) == [1, 2, 3, 4, 5]
    assert sorted(batches[2:]) == [[1], [2], [3], [4], [5]]


def test_the_thread_ends_without_work_and_another_one_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(together, "IDLE", 0.01)
    threads: list[threading.Thread] = []

    def act(items: Sequence[int]) -> Sequence[int]:
        threads.append(threading.current_thread())
        return items

    writing = Together(act)
    for number in (1, 2):
        assert writing.do(number) == number
        threads[-1].join(10)
        assert not threads[-1].is_alive()
    assert threads[0] is not threads[1]


def test_batches_keep_a_pace_so_that_more_comes_together_and_one_alone_does_not_wait() -> None:
    clock = FakeClock()
    batches: list[int] = []
    has_begun, may_go_on = threading.Event(), threading.Event()

    def act(items: Sequence[int]) -> Sequence[int]:
        batches.append(len(items))
        clock.advance(0.003)
        has_begun.set()
        may_go_on.wait(60)
        return items

    writing = Together(act, clock)
    with ThreadPoolExecutor(3) as pool:
        pool.submit(writing.do, 0)
        assert has_begun.wait(60)
        others = [pool.submit(writing.do, number) for number in (1, 2)]
        eventually(lambda: len(writing._waiting) == 2)
        may_go_on.set()
        assert [each.result(60) for each in others] == [1, 2]
    assert writing.do(3) == 3
    assert batches == [1, 2, 1]
    assert clock.slept == [pytest.approx(PACE - 0.003)]
