import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from meet2be.webhooks.ways import Way, come_to_the_end


def in_another_thread(act: Callable[[], object]) -> Callable[[Any], None]:
    """Begin a step that another thread ends with what ``act`` returns or raises."""

    def begin(then: Any) -> None:
        def end() -> None:
            try:
                found = act()
            except ValueError as error:
                then(None, error)
            else:
                then(found, None)

        threading.Thread(target=end).start()

    return begin


def test_steps_follow_each_other_in_the_threads_that_end_them() -> None:
    threads: list[threading.Thread] = []

    def way() -> Way[list[int]]:
        found = []
        for number in range(3):
            threads.append(threading.current_thread())
            found.append((yield in_another_thread(partial(int, number))))
        return found

    assert come_to_the_end(way()) == [0, 1, 2]
    assert threads[0] is threading.current_thread()
    assert len(set(threads)) == 3


def test_what_a_step_raises_is_raised_where_it_was_begun_and_goes_to_whoever_waits() -> None:
    def fails() -> None:
        raise ValueError("no")

    def patient() -> Way[str]:
        try:
            yield in_another_thread(fails)
        except ValueError as error:
            return f"caught {error}"
        return "nothing came"

    def impatient() -> Way[str]:
        yield in_another_thread(fails)
        return "nothing came"

    assert come_to_the_end(patient()) == "caught no"
    with pytest.raises(ValueError, match="no"):
        come_to_the_end(impatient())


def test_a_step_that_cannot_begin_and_a_way_without_steps_come_to_an_end() -> None:
    def refuses(_then: Any) -> None:
        raise RuntimeError("can't start new thread")

    def refused() -> Way[str]:
        yield refuses
        return "nothing came"

    def short() -> Way[str]:
        yield from ()
        return "over"

    with pytest.raises(RuntimeError, match="new thread"):
        come_to_the_end(refused())
    assert come_to_the_end(short()) == "over"
