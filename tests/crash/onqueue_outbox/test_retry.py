"""Killed while recording or retrying a failed job: doing it again is harmless."""

import pytest

from support.outbox_crash import Scene
from support.outbox_records import job_id, record

pytestmark = pytest.mark.crash

POINTS = ["before-retry", "after-begin-retry", "before-push", "after-push", "before-end-retry"]
ID = job_id(1)


@pytest.mark.parametrize("point", POINTS)
def test_a_retry_that_died_is_repeated_without_harm(scene: Scene, point: str) -> None:
    """C81."""
    scene.run("record", job=ID)
    scene.run_and_die("retry", point, job=ID)
    assert scene.failed.find(ID) is not None, "it must still be seen"
    scene.run("retry", job=ID)
    assert scene.run_jobs() == [ID]
    assert scene.failed.find(ID) is None


@pytest.mark.parametrize("point", ["after-push", "before-end-retry"])
def test_a_job_that_ran_before_the_retry_is_repeated_is_not_there_again(
    scene: Scene, point: str
) -> None:
    scene.run("record", job=ID)
    scene.run_and_die("retry", point, job=ID)
    assert scene.run_jobs() == [ID]
    scene.run("retry", job=ID)
    assert scene.run_jobs() == []


def test_a_retry_that_died_after_its_last_step_is_over(scene: Scene) -> None:
    scene.run("record", job=ID)
    scene.run_and_die("retry", "after-end-retry", job=ID)
    assert scene.failed.find(ID) is None
    assert scene.run_jobs() == [ID]


def test_a_job_that_failed_again_meanwhile_is_retried_anew(scene: Scene) -> None:
    scene.run("record", job=ID)
    scene.run_and_die("retry", "after-push", job=ID)
    assert scene.run_jobs() == [ID]
    scene.run("record", job=ID)
    assert len(scene.failed.failures(ID)) == 2
    scene.run("retry", job=ID)
    assert scene.run_jobs() == [ID]


def test_two_retries_at_once_make_one_job(scene: Scene) -> None:
    scene.run("record", job=ID)
    for process in [scene.start("retry", job=ID) for _ in range(2)]:
        scene.ends_well(process)
    assert scene.run_jobs() == [ID]
    assert scene.failed.find(ID) is None


def test_a_record_that_died_is_repeated_without_harm(scene: Scene) -> None:
    scene.run_and_die("record", "before-record", job=ID)
    assert scene.failed.find(ID) is None
    scene.run_and_die("record", "after-record", job=ID)
    scene.run("record", job=ID)
    assert len(scene.failed.failures(ID)) == 1


def test_a_durable_job_whose_retry_died_is_guarded(scene: Scene) -> None:
    one = record(1, durable=True, queue="ships")
    scene.outbox.add_many(None, [one])
    scene.outbox.mark_outcome(ID, "failed")
    scene.run("record", job=ID)
    scene.run_and_die("retry", "after-revive", job=ID)
    assert scene.outbox.state(ID) == "dispatched"
    assert scene.reconcile() == 1
    scene.run("retry", job=ID)
    assert scene.run_jobs() == [ID]
    assert scene.outbox.state(ID) == "done"
