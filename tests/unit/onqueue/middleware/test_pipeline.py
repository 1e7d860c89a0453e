"""The fold of middleware around a job."""

from typing import Any

from onqueue import Job
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
