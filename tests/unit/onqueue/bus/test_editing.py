"""A failed job's fields are changed to what its class accepts, and to nothing else."""

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest

from onqueue.bus.editing import edit_of
from onqueue.bus.unique import claim_of
from onqueue.connections import QueueManager
from onqueue.contracts import Tie
from onqueue.errors import UneditableJob
from onqueue.job import Job
from onqueue.payload import decode, plan_of
from onqueue.references import register_reference
from onqueue.stores import FailedJob
from onqueue.testing.clock import START
from support.outbox_records import job_id


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True)
class Box:
    width: int


class Guest:
    """A record that travels by its key."""

    def __init__(self, key: int) -> None:
        self.key = key


GUESTS = {7: Guest(7)}
register_reference(Guest, lambda guest: guest.key, lambda _type, key: GUESTS.get(int(key)))


class Pack(Job):
    count: int
    weight: float = 1.0
    label: str = ""
    flag: bool = False
    at: datetime | None = None
    day: date = date(2026, 1, 1)
    price: Decimal = Decimal(1)
    span: timedelta = timedelta(0)
    key: UUID = UUID(int=0)
    raw: bytes = b""
    colour: Colour = Colour.RED
    box: Box = Box(1)
    numbers: list[int] = field(default_factory=list)
    pair: tuple[int, str] = (1, "a")
    many: tuple[int, ...] = ()
    table: dict[str, float] = field(default_factory=dict)
    either: int | str = 0
    kind: Literal["a", "b"] = "a"
    noted: Annotated[int, "a note"] = 0
    anything: Any = None

    def __post_init__(self) -> None:
        if self.count > 100:
            msg = "no more than 100"
            raise ValueError(msg)

    def handle(self) -> None:
        """Nobody runs it."""


class UniquePack(Job):
    unique = True
    count: int

    def handle(self) -> None:
        """Nobody runs it."""


class Secret(Job):
    encrypted = True
    word: str

    def handle(self) -> None:
        """Nobody runs it."""


class Greet(Job):
    guest: Guest

    def handle(self) -> None:
        """Nobody runs it."""


@pytest.fixture
def manager() -> QueueManager:
    return QueueManager("sync", {"sync": {"driver": "sync"}})


def failed(job: Job, tie: Tie | None = None) -> FailedJob:
    payload = plan_of(type(job)).encode(job, 1.0, {"tenant": "7"}, tie=tie)
    return FailedJob(job_id(1), "sync", "default", job.name, payload, "E", "e", "", 1, START)


def changed(manager: QueueManager, **changes: Any) -> Pack:
    edit = edit_of(manager, failed(Pack(count=1)), changes)
    job = decode(edit.after).restore()
    assert isinstance(job, Pack)
    return job


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("count", 2, 2),
        ("weight", 2, 2.0),
        ("label", "ü", "ü"),
        ("flag", True, True),
        ("at", "2026-11-22T08:00:00+00:00", datetime(2026, 11, 22, 8, tzinfo=UTC)),
        ("at", None, None),
        ("at", {"$datetime": "2026-11-22T08:00:00+00:00"}, datetime(2026, 11, 22, 8, tzinfo=UTC)),
        ("day", "2026-11-22", date(2026, 11, 22)),
        ("price", "12.50", Decimal("12.50")),
        ("span", [0, 90, 0], timedelta(seconds=90)),
        ("key", "00000000-0000-0000-0000-000000000007", UUID(int=7)),
        ("raw", "AAE=", b"\x00\x01"),
        ("colour", "red", Colour.RED),
        ("box", {"width": 3}, Box(3)),
        ("numbers", [1, 2], [1, 2]),
        ("pair", [2, "b"], (2, "b")),
        ("many", {"$tuple": [1, 2, 3]}, (1, 2, 3)),
        ("table", {"a": 1}, {"a": 1.0}),
        ("either", "x", "x"),
        ("kind", "b", "b"),
        ("noted", 5, 5),
        ("anything", [1, {"a": None}], [1, {"a": None}]),
    ],
)
def test_a_field_takes_what_its_annotation_says(
    manager: QueueManager, name: str, given: Any, value: Any
) -> None:
    """B14."""
    found = getattr(changed(manager, **{name: given}), name)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "given", "problem"),
    [
        ("count", "2", 'must be int, not "2"'),
        ("count", True, "must be int, not true"),
        ("count", 1.5, "must be int, not 1.5"),
        ("count", None, "must be int, not null"),
        ("weight", "2", "must be float"),
        ("label", 7, "must be str, not 7"),
        ("flag", 0, "must be bool, not 0"),
        ("at", "tomorrow", "must be datetime.datetime | None"),
        ("day", "22.11.2026", "must be datetime.date: "),
        ("price", 12.5, "must be decimal.Decimal"),
        ("colour", "blue", "'blue' is not a valid Colour"),
        ("box", {"height": 3}, "must be"),
        ("numbers", [1, "2"], 'must be int, not "2"'),
        ("numbers", 1, "must be list[int], not 1"),
        ("pair", [1], "must be tuple[int, str], not [1]"),
        ("many", 1, "must be tuple[int, ...], not 1"),
        ("table", [1], "must be dict[str, float], not [1]"),
        ("table", {"a": "b"}, 'must be float, not "b"'),
        ("either", [], "must be int | str, not []"),
        ("kind", "c", """must be Literal['a', 'b'], not "c\""""),
        ("anything", {"$no": 1}, "tagged '$no'"),
        ("counts", 1, "it has no field 'counts', did you mean 'count'?"),
        ("count", 101, "its class refuses it: no more than 100"),
    ],
)
def test_what_a_field_cannot_hold_is_refused_with_the_reason(
    manager: QueueManager, name: str, given: Any, problem: str
) -> None:
    """B14."""
    with pytest.raises(UneditableJob) as caught:
        changed(manager, **{name: given})
    assert problem in str(caught.value)


def test_a_record_is_named_by_its_key_and_must_be_there(manager: QueueManager) -> None:
    """B14."""
    before = failed(Greet(GUESTS[7]))
    assert json.loads(edit_of(manager, before, {"guest": 7}).after)["data"] == {
        "guest": {"$ref": ["Guest", 7]}
    }
    with pytest.raises(UneditableJob, match="Guest 8 no longer exists"):
        edit_of(manager, before, {"guest": 8})


def test_all_problems_are_told_at_once(manager: QueueManager) -> None:
    """B14."""
    with pytest.raises(UneditableJob) as caught:
        changed(manager, count="1", label=2, nothing=3)
    assert len(caught.value.problems) == 3


def test_the_rest_of_the_payload_stays(manager: QueueManager) -> None:
    """B14."""
    before = failed(Pack(count=1, label="ü"))
    edit = edit_of(manager, before, {"count": 2})
    old, new = json.loads(edit.before), json.loads(edit.after)
    assert edit.before == before.payload
    assert new.pop("data") == {**old.pop("data"), "count": 2}
    assert (new, list(new)) == (old, list(old))


def test_the_lock_of_a_unique_job_moves_with_its_fields(manager: QueueManager) -> None:
    """C58."""
    before = failed(UniquePack(1), Tie(claim=claim_of(UniquePack(1)), batch="b"))
    tie = decode(edit_of(manager, before, {"count": 2}).after).tie
    assert tie == Tie(claim=claim_of(UniquePack(2)), batch="b")


def test_a_payload_that_cannot_be_understood_is_not_changed(manager: QueueManager) -> None:
    """B14."""
    for payload in (b"", b'{"v":1,"job":"NobodyKnows","at":1}', b'{"v":9,"job":"Pack","at":1}'):
        unknown = FailedJob(job_id(1), "sync", "default", "X", payload, "E", "e", "", 1, START)
        with pytest.raises(UneditableJob):
            edit_of(manager, unknown, {"count": 2})


def test_a_payload_of_newer_code_is_not_changed(manager: QueueManager) -> None:
    """B14."""
    payload = b'{"v":1,"job":"Pack","at":1,"data":{"count":1},"o":{"version":2}}'
    newer = FailedJob(job_id(1), "sync", "default", "Pack", payload, "E", "e", "", 1, START)
    with pytest.raises(UneditableJob, match="has version 2, this process knows 1"):
        edit_of(manager, newer, {"count": 2})


def test_encrypted_data_is_changed_and_encrypted_again() -> None:
    """B14."""
    keyed = QueueManager("sync", {"sync": {"driver": "sync"}}, app_keys=[("k", b"x" * 32)])
    payload = plan_of(Secret).encode(Secret("a"), 1.0, {"tenant": "7"}, keys=keyed.keys)
    before = FailedJob(job_id(1), "sync", "default", "Secret", payload, "E", "e", "", 1, START)
    edit = edit_of(keyed, before, {"word": "b"})
    assert "data" not in json.loads(edit.after)
    assert decode(edit.after).restore(keyed.keys) == Secret("b")


def test_a_payload_does_not_grow_above_its_limit() -> None:
    """B14."""
    small = QueueManager("sync", {"sync": {"driver": "sync", "max_payload": 1000}})
    with pytest.raises(UneditableJob, match="allowed are 1000"):
        edit_of(small, failed(Pack(count=1)), {"label": "x" * 1000})
