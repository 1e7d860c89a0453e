"""A payload of each job class, kept: what one release puts on the queue the next one must read.

`make payloads` writes those that are missing; one that is there stays as it was made.
"""

from __future__ import annotations

import sys
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

import jobs.schedule
from meet2be.queueing import CONNECTIONS, TENANT, acting_for
from onqueue import QueueManager
from onqueue.bus.admission import tie_of
from onqueue.bus.home import ALONE
from onqueue.bus.plan_codec import plan_parts
from onqueue.contracts import Message
from onqueue.errors import OnQueueError, UnknownJob
from onqueue.keyring import Keyring
from onqueue.payload import MAX_PAYLOAD, decode, option, plan_of
from onqueue.payload_values import read_value
from onqueue.plans import BatchPlan, ChainPlan
from onqueue.registry import registered
from onqueue.vocabulary import hints_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from onqueue import Job

FOLDER = Path(__file__).parents[1] / "golden" / "payloads"
AT = 1_767_225_600.25
KEYS = Keyring([("golden", b"g" * 32)])
PACKAGES = ("jobs.", "meet2be.", "onqueue.")
"""Where classes are the platform's own; all others are the tests'."""

_MADE_OF: dict[object, Any] = {int: 7, float: 1.5, bool: True}

PLAN = ChainPlan(
    id="c" * 32,
    links=[
        Message("a" * 32, "high", b'{"v":1,"job":"ValidateOrder"}', connection="redis"),
        BatchPlan(
            id="b" * 32,
            name="inner",
            members=[Message("d" * 32, "default", b'{"v":1,"job":"TidyMails"}', delay=2.5)],
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            callbacks={"then": [Message("e" * 32, "default", b"{}")]},
            context={TENANT: "7"},
        ),
    ],
    catch=[Message("f" * 32, "default", b"{}")],
    name="order 7",
    token="t",
)

_CALL: dict[str, Any] = {"args": [7], "kwargs": {"most": 9}, "catcher": {"path": "jobs.register"}}
GIVEN: Mapping[str, dict[str, Any]] = {
    "onqueue.CallFunction": {"function": {"path": "jobs.register"}, "title": "f", **_CALL},
    "onqueue.Callback": {"function": {"path": "jobs.register"}, "title": "f", **_CALL},
    "onqueue.CallClosure": {"function": {"code": "Zg", "python": "3.11"}, "title": "f", **_CALL},
    "onqueue.StartPlan": {"parts": plan_parts(PLAN)},
}
"""The fields of jobs of which the types do not tell what lies in them."""


def platform_jobs() -> Iterator[type[Job]]:
    """Return each class that a worker of the platform knows, once, by its name."""
    jobs.register()
    for name, job_class in registered():
        is_ours = f"{job_class.__module__}.".startswith(PACKAGES)
        if name == job_class.name and is_ours and ".testing." not in job_class.__module__:
            yield job_class


def example_of(job_class: type[Job]) -> Job:
    """Return a job of which each field says something; the same for the same fields.

    Raises `TypeError` for a field of which nobody knows what it holds: say that in `GIVEN`.
    """
    given = GIVEN.get(job_class.name)
    if given is None:
        types = hints_of(job_class)
        names = [entry.name for entry in fields(job_class) if entry.init]
        given = {name: _value_of(job_class, name, types[name]) for name in names}
    return job_class(**given)


def payload_of(job: Job) -> bytes:
    """Return what lies on the queue once the job is dispatched for a tenant."""
    with acting_for(7):
        target = _QUEUES.connection(option(job, "connection"))
        tie = tie_of(job, target, ALONE, KEYS)
        return plan_of(type(job)).encode(job, AT, {TENANT: "7"}, MAX_PAYLOAD, tie, KEYS)


def file_of(job_class: type[Job], folder: Path = FOLDER) -> Path:
    """Return where the payload of the class's present version is kept."""
    version: int = getattr(job_class, "version", 1)
    return folder / f"{job_class.name}{f'-v{version}' if version > 1 else ''}.json"


def write_missing(folder: Path = FOLDER) -> list[Path]:
    """Write the payloads that are missing and return where; none that is there is touched."""
    missing = [one for one in platform_jobs() if not file_of(one, folder).exists()]
    for job_class in missing:
        file_of(job_class, folder).write_bytes(payload_of(example_of(job_class)) + b"\n")
    return [file_of(job_class, folder) for job_class in missing]


def misfits(golden: bytes) -> list[str]:
    """Return what today's code makes wrong of a payload that may lie on a queue."""
    envelope = decode(golden)
    name, version, data = envelope.job, envelope.options.get("version", 1), envelope.data
    try:
        job = envelope.restore(KEYS)
    except UnknownJob as error:
        way = f"Keep the class, or say onqueue.alias({name!r}, …) where it has a new name"
        return [f"{error}. {way}, until no queue holds such payloads; then delete the file"]
    except OnQueueError as error:
        return [f"Payloads of job {name!r} cannot be read any more: {error}. {_way_out(name)}"]
    if version < plan_of(type(job)).version:
        return []  # what its upcasters make of it their own tests tell: they led here
    return [f"{problem}. {_way_out(name)}" for problem in _changes(job, data)]


def _changes(job: Job, data: Mapping[str, Any]) -> Iterator[str]:
    """Return how the fields differ from those that the class's version had."""
    today = decode(payload_of(example_of(type(job)))).data
    words = plan_of(type(job)).vocabulary
    for field, value in decode(payload_of(job)).data.items():
        if field not in data:
            yield f"Waiting payloads of job {job.name!r} have no field {field!r}"
        elif value != data[field] or getattr(job, field) != read_value(data[field], words):
            yield f"Field {field!r} of job {job.name!r} comes out of a payload as {value!r}"
        elif type(today[field]) is not type(value):
            kinds = f"{type(value).__name__}, now {type(today[field]).__name__}"
            yield f"Field {field!r} of waiting payloads of job {job.name!r} is {kinds}"


def _way_out(name: str) -> str:
    return (
        "Workers of two releases run side by side in a deploy: raise the class's `version` by one, "
        f"say with @{name.rpartition('.')[2]}.upcaster(…) what older payloads become "
        "(docs/how-to/dispatch-jobs.md), then run `make payloads`"
    )


def _value_of(job_class: type[Job], field: str, type_: Any) -> Any:
    if type_ in _MADE_OF:
        return _MADE_OF[type_]
    if type_ is str:
        return f"{field} é"
    arguments = [one for one in get_args(type_) if one is not type(None)]
    if get_origin(type_) is list:
        return [_value_of(job_class, field, arguments[0])]
    if len(arguments) == 1:
        return _value_of(job_class, field, arguments[0])
    msg = f"Say in GIVEN what field {field!r} of job {job_class.name!r} holds, a {type_!r}"
    raise TypeError(msg)


_QUEUES = QueueManager(
    default="redis",
    connections={
        name: {"driver": "redis", "url": "redis://127.0.0.1:1/0", **options}
        for name, options in CONNECTIONS.items()
    },
    failed={"driver": "null"},
)
"""The platform's connections, to ask them what they can; none is ever opened."""

if __name__ == "__main__":
    for path in write_missing():
        sys.stdout.write(f"wrote {path.name}\n")
