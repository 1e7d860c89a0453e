"""A circuit breaker around a job."""

import logging

import pytest

from onqueue import Job
from onqueue.errors import LimitDefinitionError
from onqueue.job_context import Order
from onqueue.middleware import ThrottlesExceptions
from support.child_loop import LimitsDouble
from support.middleware_rig import bound


class Charge(Job):
    def handle(self) -> None: ...


KEY = "class:Charge:600s"
ERROR = ConnectionRefusedError("away")


def run(stage: ThrottlesExceptions, error: Exception | None = None) -> tuple[LimitsDouble, object]:
    """Run a job that raises under the stage; return what was counted and the order."""
    job, limits = Charge(), LimitsDouble()
    context = bound(job, limits=limits, job_id="7")

    def work(_: Job) -> None:
        if error is not None:
            raise error

    stage(job, work)
    return limits, context.order


def test_an_exception_is_counted_and_the_job_comes_back_with_its_cause() -> None:
    """C55."""
    limits, order = run(ThrottlesExceptions().backoff(30), ERROR)
    assert limits.told[-1] == ("hit", KEY)
    assert order == Order("release", delay=30.0, error=ERROR)


def test_a_success_forgets_what_was_counted() -> None:
    """C55."""
    limits, order = run(ThrottlesExceptions())
    assert (limits.told[-1], order) == (("clear", KEY), None)


def test_while_it_is_open_the_job_waits_unrun() -> None:
    """C55."""
    job, limits, ran = Charge(), LimitsDouble(), list[Job]()
    context = bound(job, limits=limits)
    limits.shut[KEY] = 500.0
    stage = ThrottlesExceptions()
    stage(job, ran.append)
    assert (ran, context.order) == ([], Order("park", quotas=(stage.quota(job),)))


def test_exceptions_that_are_not_meant_go_on_their_way() -> None:
    """C55."""
    stage = ThrottlesExceptions().when(lambda error: "busy" in str(error))
    with pytest.raises(ConnectionRefusedError):
        run(stage, ERROR)
    limits, _ = run(stage, OSError("busy"))
    assert limits.told[-1] == ("hit", KEY)


@pytest.mark.parametrize(
    ("stage", "order"),
    [
        (ThrottlesExceptions().delete_when(ConnectionRefusedError), Order("delete")),
        (ThrottlesExceptions().fail_when([OSError]), Order("fail", error=ERROR)),
    ],
)
def test_some_exceptions_end_the_job_uncounted(stage: ThrottlesExceptions, order: Order) -> None:
    """C55."""
    limits, ended = run(stage, ERROR)
    assert (ended, limits.told[-1][0]) == (order, "admit")


def test_it_logs_what_it_is_to_report(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "onqueue.middleware"):
        run(ThrottlesExceptions(), ERROR)
        assert caplog.records == []
        run(ThrottlesExceptions().report(KeyError), ERROR)
        assert caplog.records == []
        run(ThrottlesExceptions().report(), ERROR)
    assert [record.exc_info and record.exc_info[1] for record in caplog.records] == [ERROR]


def test_what_is_counted_together_is_a_class_a_key_or_one_job() -> None:
    """C55."""
    job = Charge()
    bound(job, job_id="7")
    keys = [
        stage.quota(job).key
        for stage in (
            ThrottlesExceptions(3, 60),
            ThrottlesExceptions(3, 60).by("stripe"),
            ThrottlesExceptions(3, 60).by_job(),
        )
    ]
    assert keys == ["class:Charge:60s", "stripe:60s", "job:7:60s"]
    with pytest.raises(LimitDefinitionError, match="either"):
        ThrottlesExceptions().by("a").by_job().quota(job)
