"""Killed while dispatching: committed means dispatched once, not committed means never."""

import pytest

from support.outbox_crash import Scene

pytestmark = pytest.mark.crash

AFTER_THE_COMMIT = ["before-push-many", "after-push-many", "before-mark", "after-mark"]


def test_nothing_is_left_of_what_was_not_committed(scene: Scene) -> None:
    scene.run_and_die("dispatch", "before-commit")
    scene.relay()
    assert (scene.outbox.counts(), scene.run_jobs()) == ({}, [])


@pytest.mark.parametrize("point", AFTER_THE_COMMIT)
def test_what_was_committed_is_there_once(scene: Scene, point: str) -> None:
    """C77, B8."""
    scene.run_and_die("dispatch", point)
    scene.relay()
    ids = scene.run_jobs()
    assert len(ids) == len(set(ids)) == 20
    assert scene.outbox.counts() == {}


@pytest.mark.parametrize("point", ["before-push", "after-push", "before-mark", "after-mark"])
def test_jobs_dispatched_one_by_one_are_there_once(scene: Scene, point: str) -> None:
    at_call = 1 if "mark" in point else 7
    scene.run_and_die("dispatch", point, one_by_one=True, at_call=at_call)
    scene.relay()
    ids = scene.run_jobs()
    assert len(ids) == len(set(ids)) == 20


@pytest.mark.parametrize("point", AFTER_THE_COMMIT)
def test_durable_jobs_are_there_once_and_their_rows_stay(scene: Scene, point: str) -> None:
    scene.run_and_die("dispatch", point, durable=True)
    scene.relay()
    assert scene.outbox.counts() == {"dispatched": 20}
    assert len(set(scene.run_jobs())) == 20
    assert scene.outbox.counts() == {"done": 20}
    assert scene.reconcile() == 0


def test_a_job_that_ran_before_its_push_was_noted_is_not_there_again(scene: Scene) -> None:
    scene.run_and_die("dispatch", "after-push-many")
    ran = scene.run_jobs()
    scene.relay()
    assert len(ran) == 20
    assert scene.run_jobs() == []


@pytest.mark.parametrize("point", ["before-push", "after-push", "after-mark"])
def test_a_durable_job_without_a_transaction_is_there_once(scene: Scene, point: str) -> None:
    scene.run_and_die("dispatch_without_transaction", point, count=3, at_call=2)
    scene.relay()
    assert len(set(scene.run_jobs())) == 2
