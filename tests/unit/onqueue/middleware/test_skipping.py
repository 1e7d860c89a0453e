"""Jobs that are left out, and exceptions after which nothing is tried again."""

from types import SimpleNamespace
from typing import Any

import pytest

from onqueue import Job
from onqueue.errors import LimitDefinitionError
from onqueue.job_context import Order
from onqueue.middleware import FailOnException, Skip, SkipIfBatchCancelled
from support.middleware_rig import bound


class Mail(Job):
    is_wanted: bool = True

    def handle(self) -> None: ...


@pytest.mark.parametrize(
    ("stage", "is_skipped"),
    [
        (Skip.when(True), True),
        (Skip.when(False), False),
        (Skip.when(lambda job: job.is_wanted), True),
        (Skip.unless(True), False),
        (Skip.unless(lambda job: job.is_wanted), False),
        (Skip.unless(lambda job: not job.is_wanted), True),
    ],
)
def test_a_condition_skips_the_job(stage: Skip, is_skipped: bool) -> None:
    """C48."""
    job, ran = Mail(), list[Job]()
    context = bound(job)
    stage(job, ran.append)
    assert (len(ran), context.order) == ((0, Order("skip")) if is_skipped else (1, None))


@pytest.mark.parametrize(
    ("batch", "runs"),
    [(None, 1), (SimpleNamespace(cancelled=False), 1), (SimpleNamespace(cancelled=True), 0)],
)
def test_a_member_of_a_cancelled_batch_is_skipped(
    batch: Any, runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C57."""
    monkeypatch.setattr(Mail, "batch", batch, raising=False)
    job, ran = Mail(), list[Job]()
    bound(job)
    SkipIfBatchCancelled()(job, ran.append)
    assert len(ran) == runs


@pytest.mark.parametrize(
    ("stage", "fails"),
    [
        (FailOnException(ValueError), True),
        (FailOnException([KeyError, ValueError]), True),
        (FailOnException([KeyError]), False),
        (FailOnException(lambda error: "broken" in str(error)), True),
    ],
)
def test_such_an_exception_fails_the_job_and_is_told_all_the_same(
    stage: FailOnException, fails: bool
) -> None:
    """K56."""
    job, error = Mail(), ValueError("broken")
    context = bound(job)

    def broken(_: Job) -> None:
        raise error

    with pytest.raises(ValueError, match="broken"):
        stage(job, broken)
    assert context.order == (Order("fail", error=error) if fails else None)


@pytest.mark.parametrize("wanted", ["ValueError", [], [ValueError, "KeyError"], int])
def test_what_is_no_exception_is_refused(wanted: Any) -> None:
    with pytest.raises(LimitDefinitionError, match="give an exception class"):
        FailOnException(wanted)
