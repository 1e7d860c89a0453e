"""What every job of the platform puts on a queue: the release after must understand it."""

import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import jobs
from onqueue import Job, registry
from onqueue.bus.functions import FunctionJob
from onqueue.bus.plan_codec import plan_from
from onqueue.bus.starting import StartPlan
from onqueue.payload import decode
from support import golden_payloads
from support.golden_payloads import FOLDER, KEYS, PLAN, example_of, misfits, payload_of

GOLDEN = sorted(FOLDER.glob("*.json"))


@pytest.fixture(autouse=True)
def _no_other_jobs() -> Iterator[None]:
    """Let the made-up jobs of one test be unknown to the next."""
    jobs.register()
    known = dict(registry._classes)
    yield
    registry._classes.clear()
    registry._classes.update(known)


def test_every_job_of_the_platform_has_a_golden_payload() -> None:
    """B12."""
    missing = [
        f"Job {one.name!r} has no golden payload: run `make payloads` and commit what it writes, "
        f"tests/golden/payloads/{golden_payloads.file_of(one).name}"
        for one in golden_payloads.platform_jobs()
        if not golden_payloads.file_of(one).exists()
    ]
    assert missing == []


def test_every_module_with_a_job_is_known_to_the_workers() -> None:
    found = {name for _, name, _ in pkgutil.iter_modules(jobs.__path__)}
    texts = {name: (Path(jobs.__path__[0]) / f"{name}.py").read_text() for name in found}
    with_jobs = {name for name, text in texts.items() if "def handle(self" in text}
    assert with_jobs - set(jobs.MODULES) == set()


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_what_a_release_put_on_the_queue_is_understood(golden: Path) -> None:
    """B12."""
    assert misfits(golden.read_bytes().rstrip(b"\n")) == []


def test_a_plan_that_waits_in_the_outbox_is_understood() -> None:
    """B12."""
    job = decode((FOLDER / f"{StartPlan.name}.json").read_bytes().rstrip()).restore()
    assert isinstance(job, StartPlan) and plan_from(job.parts) == PLAN


@pytest.mark.parametrize("name", ["CallFunction", "CallClosure", "Callback"])
def test_the_signature_of_a_release_before_still_vouches_for_a_function(name: str) -> None:
    job = decode((FOLDER / f"onqueue.{name}.json").read_bytes().rstrip()).restore(KEYS)
    assert isinstance(job, FunctionJob)
    assert KEYS.vouches_for(job.name, job._message("7"), job.seal)


# ---- a job that changes ----


class _Remind(Job, abstract=True):
    attendee: int
    address: str

    def handle(self) -> None: ...


def before() -> bytes:
    """Return what the release before had put on the queue."""

    class Remind(_Remind):
        pass

    return payload_of(example_of(Remind))


def test_a_job_that_did_not_change_fits() -> None:
    assert misfits(before()) == []


def test_a_new_field_without_a_version_is_found_even_with_a_default() -> None:
    golden = before()

    class Remind(_Remind):
        tone: str = "friendly"

    (problem,) = misfits(golden)
    assert problem == (
        "Waiting payloads of job 'Remind' have no field 'tone'. Workers of two releases run side "
        "by side in a deploy: raise the class's `version` by one, say with @Remind.upcaster(…) "
        "what older payloads become (docs/how-to/dispatch-jobs.md), then run `make payloads`"
    )


def test_a_new_field_with_its_version_and_upcaster_fits() -> None:
    golden = before()

    class Remind(_Remind):
        version = 2
        tone: str

    assert "nothing leads from 1 to 2" in misfits(golden)[0]

    @Remind.upcaster(1)
    def add_the_tone(data: dict[str, Any]) -> dict[str, Any]:
        return data | {"tone": "friendly"}

    assert misfits(golden) == []


def test_a_field_of_another_type_is_found() -> None:
    golden = before()

    class Remind(Job):
        address: list[str]
        attendee: str

        def handle(self) -> None: ...

    assert [one.partition(". ")[0] for one in misfits(golden)] == [
        "Field 'address' of waiting payloads of job 'Remind' is str, now list",
        "Field 'attendee' of waiting payloads of job 'Remind' is int, now str",
    ]


def test_a_field_that_is_gone_is_found() -> None:
    golden = before()

    class Remind(Job):
        address: str

        def handle(self) -> None: ...

    (problem,) = misfits(golden)
    assert "cannot be read any more: The payload does not fit job 'Remind'" in problem
    assert "'attendee'" in problem


def test_a_class_that_is_gone_is_found() -> None:
    golden = before()
    del registry._classes["Remind"]
    (problem,) = misfits(golden)
    assert "No job is registered under the name 'Remind'" in problem
    assert "Keep the class, or say onqueue.alias('Remind', …)" in problem


def test_only_what_is_missing_is_written(tmp_path: Path) -> None:
    written = {path.name for path in golden_payloads.write_missing(tmp_path)}
    assert written >= {"SendRefund.json", "onqueue.StartPlan.json"}
    kept = tmp_path / "SendRefund.json"
    kept.write_bytes(b"as it was")
    (tmp_path / "TidyMails.json").unlink()
    assert [path.name for path in golden_payloads.write_missing(tmp_path)] == ["TidyMails.json"]
    assert kept.read_bytes() == b"as it was"
