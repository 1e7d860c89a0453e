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


STEPS = ["after-begin-retry", "after-push", "after-end-retry"]


@pytest.mark.parametrize("point", STEPS)
def test_a_retry_of_many_that_dies_goes_on_where_it_was(scene: Scene, point: str) -> None:
    """B14, C81: whatever the step, at the third of five jobs: none is lost, none is doubled."""
    scene.run("record_many", count=5)
    scene.run_and_die("retry_all", point, at_call=3)
    first = scene.run_jobs()
    assert len(first) in {2, 3}
    scene.run("retry_all")
    assert sorted(first + scene.run_jobs()) == [f"{number:032x}" for number in range(1, 6)]
    assert scene.failed.count() == 0


@pytest.mark.parametrize("point", STEPS)
def test_a_change_whose_retry_died_is_made_once(scene: Scene, point: str) -> None:
    """B14: the same command again ends it."""
    scene.run("record", job=ID)
    scene.run_and_die("retry_changed", point, job=ID)
    if scene.failed.find(ID) is not None:
        scene.run("retry_changed", job=ID)
    [payload] = scene.payloads()
    assert b'"number":2' in payload
    assert [b'"number":1' in edit.before for edit in scene.failed.edits(ID)] == [True]
    assert scene.run_jobs() == [ID]
