"""The fold of middleware around a job."""

from typing import Any

import pytest

from onqueue import Job
from onqueue.errors import NotMiddleware
from onqueue.middleware import run_pipeline


class Passed(Job):
    def handle(self) -> None: ...


def test_stages_surround_the_end_outermost_first() -> None:
    seen: list[str] = []

    def stage(name: str) -> Any:
        def surround(job: Job, inner: Any) -> None:
            seen.append(f"{name} in")
            inner(job)
            seen.append(f"{name} out")

        return surround

    assert run_pipeline(Passed(), [stage("a"), stage("b")], lambda _: seen.append("end"))
    assert seen == ["a in", "b in", "end", "b out", "a out"]


def test_a_stage_that_does_not_go_on_skips_the_job() -> None:
    seen: list[Job] = []
    assert run_pipeline(Passed(), [lambda _job, _inner: None], seen.append) is False
    assert seen == []


def test_without_stages_the_end_is_all() -> None:
    seen: list[Job] = []
    assert run_pipeline(Passed(), (), seen.append) is True
    assert len(seen) == 1


class Callable:
    def __call__(self, job: Job, inner: Any) -> None:
        inner(job)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ([7], "cannot be called"),
        (["RateLimited"], "cannot be called"),
        ([Callable], r"that is the class: write Callable\(\.\.\.\)"),
        (Callable(), "it must return a list"),
        (None, "it must return a list"),
        ("ab", "it must return a list"),
        ([lambda _job: None], "does not take the job and what comes next"),
    ],
)
def test_middleware_that_is_none_is_told_with_its_job_and_nothing_runs(
    given: Any, why: str
) -> None:
    seen: list[Job] = []
    with pytest.raises(NotMiddleware, match=rf"Job 'Passed' has .*{why}"):
        run_pipeline(Passed(), given, seen.append)
    assert seen == []


def test_a_type_error_of_the_job_itself_stays_one() -> None:
    def end(_: Job) -> None:
        raise TypeError("the job's own")

    with pytest.raises(TypeError, match="the job's own") as caught:
        run_pipeline(Passed(), [Callable(), lambda job, inner: inner(job)], end)
    assert not isinstance(caught.value, NotMiddleware)
