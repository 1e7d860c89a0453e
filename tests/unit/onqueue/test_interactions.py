"""Runs that never were."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from onqueue import Job
from onqueue.errors import LeaseLost
from onqueue.interactions import Interactions


class Sync(Job):
    what: str = "nothing"

    def handle(self) -> None:
        match self.what:
            case "release":
                self.release(timedelta(seconds=30))
            case "snooze":
                self.snooze(5)
            case "delete":
                self.delete()
            case "fail":
                self.fail(OSError("no route"))
            case "stop" if self.should_stop:
                self.snooze()
            case "send":
                self.ensure_lease()
            case _:
                return


def ran(what: str) -> Interactions:
    job = Sync(what)
    run = job.with_fake_queue_interactions()
    job.handle()
    return run


def test_each_order_is_seen() -> None:
    """K85, B20."""
    ran("release").assert_released(delay=30)
    ran("snooze").assert_snoozed(delay=5)
    ran("delete").assert_deleted()
    ran("fail").assert_failed_with(OSError)
    ran("fail").assert_failed_with(OSError("no route"))
    ran("fail").assert_failed_with("no route")
    ran("nothing").assert_nothing_ordered()


@pytest.mark.parametrize(
    ("what", "claim"),
    [
        ("nothing", lambda run: run.assert_released()),
        ("release", lambda run: run.assert_released(delay=31)),
        ("release", lambda run: run.assert_not_released()),
        ("release", lambda run: run.assert_snoozed()),
        ("delete", lambda run: run.assert_not_deleted()),
        ("snooze", lambda run: run.assert_deleted()),
        ("fail", lambda run: run.assert_not_failed()),
        ("fail", lambda run: run.assert_failed_with(ValueError)),
        ("fail", lambda run: run.assert_failed_with(OSError("another"))),
        ("fail", lambda run: run.assert_failed_with("another")),
        ("nothing", lambda run: run.assert_failed()),
        ("delete", lambda run: run.assert_nothing_ordered()),
    ],
)
def test_a_wrong_claim_fails_and_says_what_was_ordered(
    what: str, claim: Callable[[Interactions], None]
) -> None:
    run = ran(what)
    with pytest.raises(AssertionError, match="nothing" if what == "nothing" else "Order"):
        claim(run)


def test_the_other_claims_hold() -> None:
    run = ran("nothing")
    run.assert_not_released()
    run.assert_not_deleted()
    run.assert_not_failed()


def test_a_job_sees_what_the_test_lets_happen_around_it() -> None:
    job = Sync("stop")
    run = job.with_fake_queue_interactions(attempts=3, context={"tenant": "acme"})
    assert (job.attempts, job.tenant, job.cancelled) == (3, "acme", False)
    run.cancel()
    assert job.cancelled
    job.handle()
    run.assert_nothing_ordered()
    run.stop_worker()
    job.handle()
    run.assert_snoozed()


def test_a_job_that_lost_its_lease_is_told_so() -> None:
    job = Sync("send")
    run = job.with_fake_queue_interactions()
    job.handle()
    run.lose_lease()
    with pytest.raises(LeaseLost):
        job.handle()


class Import(Job):
    name = "Import.interactions"
    more: int = 0

    def handle(self) -> None:
        batch = self.batch
        if batch is None:
            self.prepend_to_chain(Sync("next"))
            self.append_to_chain(Sync("last"))
        elif batch.cancelled:
            self.delete()
        elif self.more:
            batch.add([Import() for _ in range(self.more)])
        else:
            batch.cancel()


def test_a_job_meets_a_batch_that_is_nowhere() -> None:
    """K85."""
    job = Import(more=3)
    batch = job.with_fake_batch(total=10, pending=4, failed=1)
    assert (batch.progress(), batch.has_failures) == (60, True)
    job.handle()
    assert len(batch.added) == 3
    assert batch.fresh().total == 13
    other = Import()
    run = other.with_fake_queue_interactions()
    batch = other.with_fake_batch()
    other.handle()
    assert batch.cancelled
    other.handle()
    run.assert_deleted()


def test_what_a_job_adds_to_its_chain_is_seen() -> None:
    """K85."""
    job = Import()
    run = job.with_fake_queue_interactions()
    job.handle()
    run.assert_has_chain([Sync("next"), Sync])
    with pytest.raises(AssertionError, match="last"):
        run.assert_has_chain([Sync])
