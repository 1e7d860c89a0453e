"""A chain on its way to another connection, read back as the plan that starts it there."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from onqueue.drivers.redis.keys import bulk
from onqueue.drivers.redis.parcels import head_of, message_in
from onqueue.plans import BatchPlan, ChainPlan

if TYPE_CHECKING:
    from collections.abc import Callable

    from onqueue.contracts import Message
    from onqueue.plans import CallbackKind

    Fields = dict[bytes, bytes]
    Read = Callable[[bytes], Fields]

KINDS: tuple[CallbackKind, ...] = ("before", "progress", "then", "catch", "finally")


def moving_chain(read: Read, key: bytes, home: str) -> ChainPlan:
    """Return the plan of a chain kept under a key; what named no connection names `home` now."""
    fields = read(key)
    plan = _chain(read, fields)
    token = fields[b"moving"].partition(b"moving:")[2].decode()
    links = [replace(link, connection=link.connection or home) for link in plan.links]
    catch = [replace(one, connection=one.connection or home) for one in plan.catch]
    return replace(plan, links=links, catch=catch, token=token)


def _chain(read: Read, fields: Fields) -> ChainPlan:
    links = [_link(read, parcel) for parcel in _numbered(fields)]
    return ChainPlan(
        id=fields[b"id"].decode(),
        links=links,
        catch=_callbacks("catch", fields),
        name=fields[b"name"].decode(),
        on_skip="stop" if fields[b"skip"] == b"stop" else "continue",
    )


def _link(read: Read, parcel: bytes) -> Message | BatchPlan:
    head = head_of(parcel)
    if head.kind == "job":
        return replace(message_in(parcel, bare=True), once=0.0, token="")
    return _batch(read, read(bulk(head.stage)), head.connection)


def _batch(read: Read, fields: Fields, connection: str) -> BatchPlan:
    members: list[Message | ChainPlan] = []
    for parcel in _numbered(read(bulk(fields[b"load"]))):
        head = head_of(parcel)
        if head.kind == "chain":
            members.append(_chain(read, read(bulk(head.stage))))
        else:
            members.append(replace(message_in(parcel, bare=True), once=0.0, token=""))
    return BatchPlan(
        id=fields[b"id"].decode(),
        name=fields[b"name"].decode(),
        members=members,
        created_at=datetime.fromtimestamp(int(fields[b"created_at"]) / 1000, UTC),
        allow_failures=fields[b"allow"] == b"1",
        callbacks={kind: found for kind in KINDS if (found := _callbacks(kind, fields))},
        context=json.loads(fields[b"context"]),
        connection=connection,
    )


def _numbered(fields: Fields) -> list[bytes]:
    numbers = range(int(fields[b"head"]), int(fields[b"tail"]))
    return [fields[b"%d" % number] for number in numbers]


def _callbacks(kind: str, fields: Fields) -> list[Message]:
    found: list[Message] = []
    while (parcel := fields.get(f"{kind}{len(found) + 1}".encode())) is not None:
        found.append(replace(message_in(parcel), once=0.0, token=""))
    return found
