"""Payloads of older versions of a class."""

import logging
from typing import Any

import pytest

from onqueue import Job
from onqueue.errors import (
    JobDefinitionError,
    NewerPayload,
    UnreadablePayload,
    UpcasterFailed,
    UpcasterMissing,
)
from onqueue.keyring import Keyring
from onqueue.payload import decode, plan_of
from onqueue.registry import alias
from support.child_loop import Bench

SEEN: list[Any] = []
KEYS = Keyring([("k", b"k" * 32)])


class Resize(Job):
    name = "upcasting.resize"
    version = 3

    path: str
    width: int
    height: int

    def handle(self) -> None:
        SEEN.append((self.path, self.width, self.height))

    def failed(self, error: BaseException) -> None:
        SEEN.append(("failed", self.path, str(error)))


@Resize.upcaster(1)
def name_the_path(data: dict[str, Any]) -> dict[str, Any]:
    return {"path": data["file"], "size": data["size"]}


@Resize.upcaster(2)
def split_the_size(data: dict[str, Any]) -> dict[str, Any]:
    size = data.pop("size")
    return data | {"width": size[0], "height": size[1]}


alias("upcasting.shrink", Resize)


class Stranded(Job):
    name = "upcasting.stranded"
    version = 2
    n: int = 1

    def handle(self) -> None:
        SEEN.append(self.n)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    SEEN.clear()


def payload_of(version: int, data: str, job: str = "upcasting.resize") -> bytes:
    option = f',"o":{{"version":{version}}}' if version > 1 else ""
    return f'{{"v":1,"job":"{job}","at":0,"data":{data}{option}}}'.encode()


VERSIONS = [
    payload_of(1, '{"file":"a.png","size":[8,6]}'),
    payload_of(2, '{"path":"a.png","size":[8,6]}'),
    payload_of(3, '{"path":"a.png","width":8,"height":6}'),
]


@pytest.mark.parametrize("payload", VERSIONS)
def test_data_of_each_version_becomes_the_job_as_it_is_now(payload: bytes) -> None:
    """B12."""
    assert decode(payload).restore() == Resize("a.png", 8, 6)


@pytest.mark.parametrize("payload", VERSIONS)
def test_a_worker_runs_jobs_of_every_version_one_after_another(payload: bytes) -> None:
    """B12."""
    bench = Bench()
    ids = [bench.put_payload(one) for one in (payload, *VERSIONS)]
    bench.run()
    assert [bench.consumer.settled(one) for one in ids] == [("done",)] * 4
    assert SEEN == [("a.png", 8, 6)] * 4


def test_opening_a_payload_twice_steps_once() -> None:
    envelope = decode(VERSIONS[0])
    envelope.open(plan_of(Resize))
    envelope.open(plan_of(Resize))
    assert envelope.restore() == Resize("a.png", 8, 6)


def test_a_payload_under_a_former_name_is_brought_up_to_date_too() -> None:
    """B12."""
    payload = payload_of(1, '{"file":"a.png","size":[8,6]}', job="upcasting.shrink")
    assert decode(payload).restore() == Resize("a.png", 8, 6)


def test_without_an_upcaster_a_job_is_parked_with_its_reason_and_can_be_replayed(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B12."""
    bench = Bench()
    payload = payload_of(1, '{"n":7}', job="upcasting.stranded")
    current = payload_of(2, '{"n":1}', job="upcasting.stranded")
    bench.put_payload(current)
    parked = bench.put_payload(payload)
    with caplog.at_level(logging.WARNING):
        bench.run(tries=1)
    assert bench.consumer.settled(parked) == (
        "park",
        "unknown:upcasting.stranded | version 1, nothing leads to 2",
    )
    assert parked not in bench.consumer.started
    assert bench.failed.records == []
    assert (
        "nothing leads from 1 to 2: declare it with @upcasting.stranded.upcaster(1)" in caplog.text
    )
    Stranded.upcaster(1)(lambda data: data)
    replayed = bench.put_payload(payload)
    bench.run(tries=1)
    assert bench.consumer.settled(replayed) == ("done",)
    assert SEEN == [1, 7]


def test_a_payload_of_a_newer_version_waits_for_newer_code() -> None:
    """B12."""
    newer = payload_of(4, "{}")
    with pytest.raises(NewerPayload):
        decode(newer).restore()
    bench = Bench()
    job_id = bench.put_payload(newer)
    bench.run()
    assert bench.consumer.settled(job_id) == (
        "park",
        "unknown:upcasting.resize | version 4, known is 3",
    )


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ('{"path":"a.png"}', "from version 1 to 2 failed: KeyError"),
        ('{"file":"a.png","size":[8]}', "from version 2 to 3 failed: IndexError"),
    ],
)
def test_an_upcaster_that_raises_fails_the_job_and_leaves_its_payload(data: str, says: str) -> None:
    bench = Bench()
    job_id = bench.put_payload(payload_of(1, data))
    bench.run(tries=5)
    assert bench.consumer.settled(job_id) == ("fail",)
    [record] = bench.failed.records
    assert says in record.error
    assert record.payload == payload_of(1, data)


def test_an_upcaster_must_return_data() -> None:
    class Wrong(Job):
        version = 2

        def handle(self) -> None: ...

    Wrong.upcaster(1)(lambda _data: None)  # type: ignore[type-var]
    with pytest.raises(UpcasterFailed, match="it returned NoneType, not a dict"):
        decode(payload_of(1, "{}", job="Wrong")).restore()


def test_data_that_does_not_fit_after_its_last_step_is_refused() -> None:
    with pytest.raises(UnreadablePayload, match="does not fit"):
        decode(payload_of(2, '{"size":[1,2]}')).restore()


@pytest.mark.parametrize("version", [0, 3, 4])
def test_a_step_that_leads_nowhere_is_refused(version: int) -> None:
    with pytest.raises(JobDefinitionError, match="leads nowhere: the class has version 3"):
        Resize.upcaster(version)(lambda data: data)


def test_a_second_upcaster_for_a_step_is_refused() -> None:
    with pytest.raises(JobDefinitionError, match="has two upcasters from version 1"):
        Resize.upcaster(1)(lambda data: data)


def test_a_subclass_takes_its_ancestors_steps() -> None:
    class ResizeWell(Resize):
        def handle(self) -> None: ...

    payload = payload_of(2, '{"path":"a.png","size":[8,6]}', job="ResizeWell")
    assert decode(payload).restore() == ResizeWell("a.png", 8, 6)


def test_encrypted_data_is_brought_up_to_date_too() -> None:
    class Secret(Job):
        name = "upcasting.secret"
        encrypted = True
        code: str

        def handle(self) -> None: ...

    payload = plan_of(Secret).encode(Secret("x"), 0.0, None, keys=KEYS)
    Secret.version = 2
    with pytest.raises(UpcasterMissing):
        decode(payload).restore(KEYS)
    Secret.upcaster(1)(lambda data: {"code": data["code"] * 2})
    assert decode(payload).restore(KEYS) == Secret("xx")
