"""What every driver must do, as tests: a driver's own tests subclass `DriverContract`.

A subclass gives the fixture `make_queue`: a function that takes connection settings (`lease`,
`retry_after`, …) as keywords and returns an empty `Queue` of the driver; all queues made in one
test share their broker and their prefix. What a driver does not declare in `supports` is skipped.
Where it hands out jobs ("leases"), `WorkContract` holds as well.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from onqueue.contracts import ONCE_WINDOW, Message, Queue

MakeQueue: TypeAlias = Callable[..., Any]

ANY_BYTES = bytes(range(256))


def message(payload: bytes = b"{}", *, queue: str = "default", **more: Any) -> Message:
    """Return a message with an id of its own."""
    return Message(secrets.token_hex(16), queue, payload, **more)


def need(queue: Queue, *capabilities: str) -> None:
    """Skip the test where the driver does not declare what it is about."""
    for capability in capabilities:
        if capability not in queue.supports:
            pytest.skip(f"driver {queue.config.driver!r} does not declare {capability!r}")


class DriverContract:
    """The dispatch side."""

    @pytest.fixture
    def queue(self, make_queue: MakeQueue) -> Queue:
        """An empty connection."""
        made: Queue = make_queue()
        return made

    def test_it_knows_its_name_and_its_settings(self, queue: Queue) -> None:
        """Both are what it was made with."""
        assert queue.name == queue.config.name

    def test_a_push_takes_the_job(self, queue: Queue) -> None:
        """It says so."""
        assert queue.push(message(ANY_BYTES)) is True

    def test_many_are_pushed_at_once(self, queue: Queue) -> None:
        """It says how many."""
        assert queue.push_many([message() for _ in range(3)]) == 3
        assert queue.push_many([]) == 0

    def test_jobs_are_counted_in_their_own_queue(self, queue: Queue) -> None:
        """Another queue stays empty."""
        need(queue, "size")
        queue.push_many([message() for _ in range(3)])
        queue.push(message(queue="other"))
        size = queue.size("default")
        assert (size.ready, size.delayed, size.reserved, size.parked) == (3, 0, 0, 0)
        assert queue.size("other").total == 1
        assert queue.size("empty").total == 0
        assert queue.queues() == ["default", "other"]

    def test_a_delayed_job_is_counted_as_delayed(self, queue: Queue) -> None:
        """It is not ready."""
        need(queue, "size", "delay")
        queue.push(message(delay=60))
        assert (queue.size("default").ready, queue.size("default").delayed) == (0, 1)

    def test_an_id_pushed_once_is_refused_the_second_time(self, queue: Queue) -> None:
        """Even when the first push was forgotten since."""
        need(queue, "once", "forget")
        one = message(once=ONCE_WINDOW)
        assert queue.push(one) is True
        assert queue.push(one) is False
        assert queue.push_many([one, message(once=ONCE_WINDOW)]) == 1
        queue.forget(one.id)
        assert queue.push(one) is False

    def test_a_token_lets_a_known_id_be_pushed_once_more(self, queue: Queue) -> None:
        """And only once."""
        need(queue, "once", "forget")
        first = message(once=ONCE_WINDOW)
        queue.push(first)
        queue.forget(first.id)
        again = Message(first.id, first.queue, first.payload, once=ONCE_WINDOW, token="retry-1")  # noqa: S106 - no secret
        assert queue.push(again) is True
        queue.forget(first.id)
        assert queue.push(again) is False

    def test_clearing_removes_ready_and_delayed_jobs(self, queue: Queue) -> None:
        """Other queues keep theirs."""
        need(queue, "size", "delay")
        queue.push_many([message(), message(delay=60), message(queue="other")])
        assert queue.clear("default") == 2
        assert queue.clear("default") == 0
        assert queue.size("default").total == 0
        assert queue.size("other").total == 1

    def test_a_waiting_job_can_be_forgotten(self, queue: Queue) -> None:
        """Ready or delayed; an unknown one is not an error."""
        need(queue, "forget", "size", "delay")
        ready, later = message(), message(delay=60)
        queue.push_many([ready, later])
        assert queue.forget(ready.id) is True
        assert queue.forget(later.id) is True
        assert queue.forget(ready.id) is False
        assert queue.size("default").total == 0

    def test_it_knows_what_waits(self, queue: Queue) -> None:
        """And nothing else."""
        need(queue, "knows", "delay")
        ready, later, gone = message(), message(delay=60), message()
        queue.push_many([ready, later])
        assert queue.knows([ready.id, later.id, gone.id]) == {ready.id, later.id}
        assert queue.knows([]) == set()

    def test_pauses_are_told_with_their_reasons(self, queue: Queue) -> None:
        """Of one queue and of the whole connection."""
        need(queue, "pause")
        queue.pause("default", "import runs")
        queue.pause(None, "deploy")
        assert queue.paused() == {"default": "import runs", "": "deploy"}
        queue.resume("default")
        queue.resume(None)
        assert queue.paused() == {}

    def test_it_works_again_after_it_was_closed(self, queue: Queue) -> None:
        """Closing only gives back sockets."""
        queue.push(message())
        queue.close()
        assert queue.push(message()) is True

    def test_a_healthy_broker_passes_the_check(self, queue: Queue) -> None:
        """It says nothing."""
        queue.check()
