"""Values that travel as references."""

from typing import Any, Self

import pytest

from onqueue import Job
from onqueue.errors import MissingModel, UnserializableArgument
from onqueue.payload import decode, plan_of
from onqueue.references import register_reference

ROWS: dict[int, "Record"] = {}


class Record:
    def __init__(self, key: int | None) -> None:
        self.key = key


class Invoice(Record):
    pass


class Color:
    def __init__(self, code: str) -> None:
        self.code = code

    def to_reference(self) -> str:
        return self.code

    @classmethod
    def from_reference(cls, key: str) -> Self | None:
        return cls(key) if key else None


def key_of(record: Record) -> int:
    if record.key is None:
        raise ValueError("it has no key yet: flush it first")
    return record.key


register_reference(Record, key_of, lambda _type, key: ROWS.get(key))


class Paint(Job):
    record: Record
    colors: list[Color]
    anything: Any = None

    def handle(self) -> None: ...


def encode(job: Job) -> bytes:
    return plan_of(type(job)).encode(job, 0.0, None)


def test_a_record_travels_as_its_type_and_key_and_is_fetched_again() -> None:
    ROWS[5] = Invoice(5)
    payload = encode(Paint(ROWS[5], [Color("red")], anything=ROWS[5]))
    assert b'"record":{"$ref":["Invoice",5]}' in payload
    assert b'"colors":[{"$ref":["Color","red"]}]' in payload
    job: Any = decode(payload).restore()
    assert job.record is ROWS[5]
    assert job.anything is ROWS[5]
    assert job.colors[0].code == "red"


def test_a_record_that_is_gone_is_named() -> None:
    payload = encode(Paint(Invoice(404), []))
    with pytest.raises(MissingModel, match="Invoice 404 no longer exists") as caught:
        decode(payload).restore()
    assert (caught.value.type_name, caught.value.key) == ("Invoice", 404)


def test_a_record_without_a_key_cannot_travel() -> None:
    with pytest.raises(UnserializableArgument, match="flush it first"):
        encode(Paint(Invoice(None), []))
