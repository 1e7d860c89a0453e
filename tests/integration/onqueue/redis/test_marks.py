"""The marks of one of several threads: on the broker at once, and again after a broken line."""

import socket
from contextlib import nullcontext

import pytest

from onqueue.contracts import Burial
from onqueue.drivers.redis.marks import send_at_once
from support.redis_rig import Rig
from support.waiting import eventually


def test_what_was_marked_is_known_when_the_child_dies_right_after(broker: Rig) -> None:
    """K1."""
    consumer = broker.consumer()
    consumer.share(nullcontext())
    ids = broker.push(3)
    consumer.turn(3, [])
    first, second = consumer.marks(), consumer.marks()
    first.mark(None, ids[0])
    second.mark(None, ids[1])
    first.mark(ids[0], ids[2])
    eventually(lambda: b"unstarted" not in b" ".join(broker.dump()))
    buried = broker.leases.bury(consumer.holder, Burial("death"))
    assert {job.id for job in buried} == set(ids[1:])


def test_marks_go_on_after_an_answer_was_asked_for_and_on_a_new_line(
    broker: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onqueue.drivers.redis.marks.MOST_UNANSWERED", 30)
    consumer = broker.consumer()
    ids = broker.push(50)
    held = [job.id for job in consumer.turn(len(ids), []).jobs]
    marks = consumer.marks()
    for number, job_id in enumerate(held):
        if number == 35:
            marks._line.drop()
        marks.mark(None, job_id)
    eventually(lambda: b"unstarted" not in b" ".join(broker.dump()))


def test_a_job_that_came_again_does_not_count_as_started_for_its_last_run(broker: Rig) -> None:
    """K1."""
    consumer = broker.consumer()
    consumer.share(nullcontext())
    ids = broker.push(2)
    jobs = consumer.turn(2, []).jobs
    marks = consumer.marks()
    marks.mark(None, ids[0])
    assert consumer.release(jobs[0], 0.0, attempts=1, exceptions=0)
    assert [job.id for job in consumer.turn(1, []).jobs] == ids[:1]
    marks._line.drop()
    marks.mark(None, ids[1])
    consumer.give_back(ids[:1])
    eventually(lambda: broker.queue.size("default").ready == 1)
    assert {job.id for job in broker.leases.bury(consumer.holder, Burial("death"))} == {ids[1]}


def test_what_a_socket_does_not_take_at_once_is_returned() -> None:
    left, right = socket.socketpair()
    with left, right:
        left.setblocking(False)
        assert send_at_once(left, b"a" * 10) == b""
        assert right.recv(100) == b"a" * 10
        rest = send_at_once(left, b"b" * 10_000_000)
        assert 0 < len(rest) < 10_000_000
        assert send_at_once(left, rest) == rest
    assert send_at_once(None, b"c") == b"c"
