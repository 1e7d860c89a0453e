"""Payloads there and back, and what cannot travel."""

import json
import string
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onqueue import Job
from onqueue.errors import (
    JobDefinitionError,
    NewerPayload,
    PayloadTooLarge,
    UnknownJob,
    UnreadablePayload,
    UnserializableArgument,
)
from onqueue.payload import decode, option, plan_of


class Format(Enum):
    CSV = "csv"
    PDF = ("pdf", 2)


class Level(IntEnum):
    LOW = 1


@dataclass
class Street:
    name: str
    number: int


@dataclass
class Address:
    street: Street
    since: date
    format: Format | None = None


class Anything(Job):
    value: Any
    format: Format | None = None
    level: Level | None = None
    address: Address | None = None
    streets: tuple[Street, ...] = ()

    def handle(self) -> None: ...


def encode(job: Job, **given_: Any) -> bytes:
    return plan_of(type(job)).encode(
        job, given_.pop("at", 0.0), given_.pop("context", None), **given_
    )


def trip(job: Job) -> Any:
    return decode(encode(job)).restore()


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary()
    | st.dates()
    | st.datetimes(timezones=st.none() | st.just(UTC))
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
)
keys = st.sampled_from(["$", "$ref", "$dict", "$bytes", "$tuple"]) | st.text(string.ascii_letters)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(keys, inner, max_size=3)
        | st.tuples(inner, inner)
    ),
    max_leaves=8,
)


@given(values)
def test_whatever_travels_arrives_as_it_was(value: Any) -> None:
    arrived = trip(Anything(value))
    assert arrived == Anything(value)
    assert type(arrived.value) is type(value)


@pytest.mark.parametrize(
    "job",
    [
        Anything(1, format=Format.CSV),
        Anything([Format.PDF, {"a": Level.LOW}], level=Level.LOW),
        Anything(None, address=Address(Street("Rue É", 4), date(2026, 1, 2), Format.CSV)),
        Anything(Street("x", 1), streets=(Street("a", 1), Street("b", 2))),
        Anything(datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2)))),
        Anything((time(3, 4), timedelta(days=-1, microseconds=1))),
        Anything({"$ref": ["Event", 1]}),
        Anything({"$dict": {"$dict": 1}}),
        Anything((Decimal("1.10"), UUID(int=5), b"\x00\xff")),
    ],
)
def test_enums_dataclasses_and_tags_arrive_as_they_were(job: Job) -> None:
    assert trip(job) == job


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (float("nan"), "Field 'value' of job 'Anything' cannot travel .float.: nan is no JSON"),
        ({"a": [1, float("inf")]}, r"Field \"value\['a'\]\[1\]\""),
        ({1: 2}, "key 1 of a dict must be a str"),
        (object(), "pass a key instead"),
        ({"a": {1, 2}}, r"value\['a'\].*\(set\)"),
        ("\ud800", "lone surrogate"),
        (["\ud800"], "lone surrogate"),
        (str.upper, "method_descriptor"),
    ],
)
def test_what_cannot_travel_is_named_with_its_place(value: Any, says: str) -> None:
    """K79."""
    with pytest.raises(UnserializableArgument, match=says):
        encode(Anything(value))


def test_a_type_that_no_annotation_names_cannot_travel() -> None:
    class Loose(Job):
        value: Any

        def handle(self) -> None: ...

    with pytest.raises(UnserializableArgument, match="no annotation of the job names Format"):
        encode(Loose(Format.CSV))


def test_what_is_nested_too_deep_cannot_travel() -> None:
    value: Any = 1
    for _ in range(32):
        value = [value]
    assert trip(Anything(value)) == Anything(value)
    with pytest.raises(UnserializableArgument, match="32 levels"):
        encode(Anything([value]))


def test_a_value_that_holds_itself_cannot_travel() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(UnserializableArgument, match="32 levels"):
        encode(Anything(value))


def test_a_payload_above_the_limit_is_refused() -> None:
    with pytest.raises(PayloadTooLarge, match="allowed are 65536"):
        encode(Anything("x" * 70_000))
    assert len(encode(Anything("x" * 70_000), limit=80_000)) > 70_000


class Optioned(Job):
    tries = 5
    timeout = timedelta(minutes=1)
    backoff = (1, timedelta(seconds=5))
    tags = ("a", "b")
    version = 3
    connection = "redis-long"

    n: int = 1

    def retry_until(self) -> timedelta:
        return timedelta(seconds=self.n)

    def handle(self) -> None: ...


def test_options_are_frozen_at_the_dispatch_in_a_fixed_order() -> None:
    """K76."""
    options = decode(encode(Optioned(), at=100.0)).options
    assert list(options.items()) == [
        ("tries", 5),
        ("timeout", 60.0),
        ("backoff", [1, 5.0]),
        ("retry_until", 101_000),
        ("tags", ["a", "b"]),
        ("version", 3),
    ]


def test_a_retry_until_of_the_class_counts_from_each_dispatch() -> None:
    """K6."""

    class Brief(Job):
        retry_until = 10

        def handle(self) -> None: ...

    assert decode(encode(Brief(), at=100.0)).options == {"retry_until": 110_000}
    assert decode(encode(Brief(), at=200.0)).options == {"retry_until": 210_000}
    assert decode(encode(Brief(), at=1.8e9)).options == {"retry_until": 1_800_000_010_000}


def test_a_single_backoff_travels_as_a_list() -> None:
    class Once(Job):
        backoff = 7

        def handle(self) -> None: ...

    assert decode(encode(Once())).options == {"backoff": [7]}


def test_an_option_changed_on_the_class_is_seen_at_the_next_dispatch() -> None:
    class Changing(Job):
        tries = 1

        def handle(self) -> None: ...

    class Child(Changing):
        def handle(self) -> None: ...

    assert decode(encode(Child())).options == {"tries": 1}
    Changing.tries = 2
    assert decode(encode(Child())).options == {"tries": 2}


def test_an_options_method_that_returns_nonsense_is_refused_at_the_dispatch() -> None:
    class Wrong(Job):
        def tries(self) -> int:
            return -1

        def handle(self) -> None: ...

    with pytest.raises(JobDefinitionError, match="'tries' of job 'Wrong'"):
        encode(Wrong())
    assert option(Anything(1), "tries") is None


def test_an_option_set_on_one_job_is_checked_at_the_dispatch() -> None:
    job = Anything(1)
    job.__dict__["backoff"] = "5"
    with pytest.raises(JobDefinitionError, match="'backoff' of job 'Anything'"):
        encode(job)


def test_an_option_changed_to_nonsense_on_a_class_is_refused() -> None:
    with pytest.raises(JobDefinitionError, match="'tries' of job 'Anything'"):
        Anything.tries = "3"  # type: ignore[assignment]


@pytest.mark.parametrize("thing", [5, print, Anything])
def test_what_is_no_job_cannot_be_dispatched(thing: Any) -> None:
    with pytest.raises(JobDefinitionError, match="Only instances of job classes"):
        plan_of(type(thing))


def test_the_context_travels_beside_the_data() -> None:
    envelope = decode(encode(Anything(1), context={"tenant": "7"}, at=1.5))
    assert envelope.context == {"tenant": "7"}
    assert envelope.at == 1.5


def altered(**changes: Any) -> bytes:
    parts = json.loads(encode(Anything(1)))
    return json.dumps(parts | changes).encode()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"7",
        b'{"v":1}',
        encode(Anything(1)) + b"{}",
        altered(v="one"),
        altered(at=None),
        altered(job=5),
        altered(data="text"),
        altered(o=[1]),
        altered(c="text"),
        b"[" * 50_000,
    ],
)
def test_bytes_that_are_no_payload_are_refused(payload: bytes) -> None:
    with pytest.raises(UnreadablePayload, match="no payload of a job"):
        decode(payload)


@pytest.mark.parametrize("options", [{"tries": "3"}, {"backoff": ["5"]}, {"retry_until": "now"}])
def test_options_that_no_dispatch_writes_are_refused(options: Any) -> None:
    with pytest.raises(UnreadablePayload, match=r"has option .* but it must be"):
        decode(altered(o=options))


def test_an_option_of_newer_code_is_passed_over() -> None:
    assert decode(altered(o={"colour": "red", "tries": 3})).options["tries"] == 3


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"value": 1, "gone": 2}, "does not fit"),
        ({}, "does not fit"),
        ({"value": {"$new": 1}}, "cannot read"),
        ({"value": {"$enum": ["Unheard", 1]}}, "names 'Unheard'"),
        ({"value": {"$enum": ["Format", "no"]}}, "cannot be read"),
        ({"value": {"$data": ["Street", {"nome": 1}]}}, "cannot be read"),
        ({"value": {"$decimal": "x"}}, "cannot be read"),
        ({"value": {"$ref": ["Unheard", 1]}}, "No referenceable type 'Unheard'"),
    ],
)
def test_data_that_does_not_fit_is_refused(data: Any, says: str) -> None:
    with pytest.raises(UnreadablePayload, match=says):
        decode(altered(data=data)).restore()


def test_a_payload_of_a_newer_core_waits() -> None:
    with pytest.raises(NewerPayload, match="has version 2, this process knows 1"):
        decode(altered(v=2))


def test_a_payload_of_a_newer_class_waits() -> None:
    """K76, B12."""
    with pytest.raises(NewerPayload, match="has version 4, this process knows 1"):
        decode(altered(o={"version": 4})).restore()


def test_a_payload_of_an_unknown_job_can_be_read_but_not_restored() -> None:
    envelope = decode(altered(job="Anythink"))
    with pytest.raises(UnknownJob, match="did you mean 'Anything'"):
        envelope.restore()


def test_a_field_added_since_takes_its_default() -> None:
    assert decode(altered(data={"value": 1})).restore() == Anything(1)


def test_a_type_that_cannot_be_found_is_named() -> None:
    class Puzzling(Job):
        value: "Nowhere"  # type: ignore[name-defined]  # noqa: F821 - what is refused

        def handle(self) -> None: ...

    with pytest.raises(JobDefinitionError, match="'Nowhere' is not defined"):
        plan_of(Puzzling)
