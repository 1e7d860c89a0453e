"""Killed while cancelling a durable job: it is gone or still guarded, and asking again ends it."""

import pytest

from support.outbox_crash import REDIS, Scene

pytestmark = pytest.mark.crash


@pytest.mark.parametrize(
    ("waits", "point"),
    [
        ("in the broker", "after-cancel"),
        ("in the broker", "after-discard"),
        ("in the outbox only", "after-cancel"),
    ],
)
def test_a_job_whose_cancelling_died_is_never_left_without_a_guard(
    scene: Scene, waits: str, point: str
) -> None:
    """B11."""
    if waits == "in the broker":
        scene.run("dispatch", durable=True, count=1)
    else:
        scene.run_and_die("dispatch", "before-push", durable=True, count=1)
    [job_id] = scene.outbox.open_ids(REDIS, "ships")
    scene.run_and_die("cancel", point, job=job_id)
    is_guarded = scene.outbox.state(job_id) is not None
    assert is_guarded or scene.waiting() == 0
    assert is_guarded == (point != "after-discard")
    scene.run("cancel", job=job_id)
    scene.relay()
    assert scene.reconcile() == 0
    assert scene.run_jobs() == []


def test_a_cancelling_that_died_in_the_broker_has_the_job_brought_back(scene: Scene) -> None:
    scene.run("dispatch", durable=True, count=1)
    [job_id] = scene.outbox.open_ids(REDIS, "ships")
    scene.run_and_die("cancel", "after-cancel", job=job_id)
    assert scene.waiting() == 0
    assert scene.reconcile() == 1
    assert scene.run_jobs() == [job_id]
