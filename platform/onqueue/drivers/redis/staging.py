"""Plans of chains and batches as the hashes in which the broker keeps them, ready to be written.

Everything is written under names of this one staging first. The script that starts it renames the
root; a script that comes to a link or a member renames that.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from onqueue.drivers.redis.keys import bulk
from onqueue.drivers.redis.parcels import bundle_parcel, job_parcel
from onqueue.drivers.redis.ties import tie_text
from onqueue.drivers.redis.wire import packed
from onqueue.errors import BrokerFull, ConfigurationError
from onqueue.plans import BatchPlan, ChainPlan, Tie

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from onqueue.contracts import Message
    from onqueue.drivers.redis.keys import Keys
    from onqueue.drivers.redis.tied_scripts import TiedScripts
    from onqueue.drivers.redis.wire import Broker

CHUNK = 100
CHUNK_BYTES = 1 << 20

_NO_TIE = Tie()


class Staging:
    """Collects what one plan is to write; `root` is the list of its names."""

    def __init__(self, keys: Keys, connection: str) -> None:
        """Write for this connection, whose name in a plan means the same as none."""
        self._keys = keys
        self._connection = connection
        self._token = secrets.token_hex(16)
        self._count = 0
        self.root = keys.plan(self._token)
        self.lists: dict[bytes, list[bytes]] = {self.root: []}
        self.hashes: dict[bytes, dict[bytes, bytes]] = {}

    def chain(self, plan: ChainPlan, batch: str = "") -> bytes:
        """Stage a chain, perhaps as a member of a batch; return its parcel."""
        keys = self._keys
        if batch:
            self._refuse_leaving(plan)
        nested = any(isinstance(link, BatchPlan) for link in plan.links)
        names = self.root
        if nested and batch:
            names = self._name(self.root)
            self.lists[names] = []
        stage = self._name(self.root)
        tie = Tie(batch=batch, chain=plan.id)
        links = [self.link(link, tie, names) for link in plan.links]
        fields: dict[str, Any] = {
            "id": plan.id,
            "name": plan.name,
            "skip": plan.on_skip,
            "current": "",
            "head": 0,
            "tail": len(links),
            "total": len(links),
            "done": 0,
            "moving": keys.moving(f"{plan.id}:{self._token}"),
        }
        if batch:
            fields["batch"] = keys.batch(batch)
        if nested:
            fields["plan"] = names
        catch = self._callbacks("catch", plan.catch)
        self.hashes[stage] = _packed(fields) | catch | _numbered(links)
        return bundle_parcel("chain", plan.id, "", keys.chain(plan.id), stage)

    def link(self, link: Message | BatchPlan, tie: Tie, names: bytes | None = None) -> bytes:
        """Stage a link of a chain; return its parcel."""
        if isinstance(link, BatchPlan):
            return self.batch(link, tie, names or self.root)
        return self._job(link, tie, self._foreign(link.connection))

    def batch(self, plan: BatchPlan, tie: Tie = _NO_TIE, names: bytes | None = None) -> bytes:
        """Stage a batch, perhaps as a link of a chain; return its parcel."""
        keys, names = self._keys, names or self.root
        stage = self._name(names)
        total = count_jobs(plan.members)
        fields: dict[str, Any] = {
            "id": plan.id,
            "name": plan.name,
            "total": total,
            "pending": total,
            "loads": 1,
            **dict.fromkeys(("succeeded", "failed", "skipped", "cancelled", "broken"), 0),
            "allow": int(plan.allow_failures),
            "created_at": int(plan.created_at.timestamp() * 1000),
            "members": keys.members(plan.id),
            "load": self.members(plan.id, plan.members, names),
            "tie": b"" if tie == _NO_TIE else tie_text(keys, tie, ""),
            "context": json.dumps(dict(plan.context)),
        }
        packed = _packed(fields)
        for kind, messages in plan.callbacks.items():
            packed |= self._callbacks(kind, messages)
        self.hashes[stage] = packed
        foreign = self._foreign(plan.connection)
        return bundle_parcel("batch", plan.id, foreign, keys.batch(plan.id), stage)

    def members(
        self, batch_id: str, members: Sequence[Message | ChainPlan], names: bytes | None = None
    ) -> bytes:
        """Stage members of a batch; return the key they are staged under."""
        stage = self._name(names or self.root)
        tie = Tie(batch=batch_id)
        parcels = [
            self.chain(member, batch_id)
            if isinstance(member, ChainPlan)
            else self._job(member, tie)
            for member in members
        ]
        self.hashes[stage] = _packed({"head": 0, "tail": len(parcels)}) | _numbered(parcels)
        return stage

    def _job(self, message: Message, tie: Tie, connection: str = "") -> bytes:
        if message.tie is not None:
            tie = replace(message.tie, batch=tie.batch, chain=tie.chain)
        return job_parcel(self._keys, message, None if tie == _NO_TIE else tie, connection)

    def _callbacks(self, kind: str, messages: Sequence[Message]) -> dict[bytes, bytes]:
        parcels = [self._job(one, _NO_TIE, self._foreign(one.connection)) for one in messages]
        return {f"{kind}{at}".encode(): parcel for at, parcel in enumerate(parcels, 1)}

    def _name(self, names: bytes) -> bytes:
        self._count += 1
        name = self._keys.plan(self._token, self._count)
        for listed in {names, self.root}:
            self.lists[listed].append(name)
        return name

    def _foreign(self, connection: str) -> str:
        return "" if connection == self._connection else connection

    def _refuse_leaving(self, plan: ChainPlan) -> None:
        for link in plan.links:
            if self._foreign(link.connection):
                raise ConfigurationError(
                    f"A chain in a batch on connection {self._connection!r}",
                    [f"its link {link.id!r} is for connection {link.connection!r}: give it none"],
                )


def count_jobs(members: Sequence[Message | ChainPlan]) -> int:
    """Return how many members there are; each link of a chain is one."""
    return sum(len(one.links) if isinstance(one, ChainPlan) else 1 for one in members)


def _packed(fields: Mapping[str, Any]) -> dict[bytes, bytes]:
    return {
        name.encode(): value if isinstance(value, bytes) else str(value).encode()
        for name, value in fields.items()
    }


def _numbered(parcels: Sequence[bytes]) -> dict[bytes, bytes]:
    return {b"%d" % number: parcel for number, parcel in enumerate(parcels)}


def write_staging(broker: Broker, scripts: TiedScripts, staging: Staging) -> None:
    """Write what was staged. Nobody sees it until it is started, and a day later it is gone."""
    try:
        for name, listed in staging.lists.items():
            for start in range(0, len(listed), CHUNK):
                part = listed[start : start + CHUNK]
                if name == staging.root:
                    broker.run(scripts.stage(name, part))
                else:
                    broker.ask(packed(b"RPUSH", bulk(name), *map(bulk, part)))
        for name, fields in staging.hashes.items():
            for bulks in _chunks(fields):
                broker.ask(packed(b"HSET", bulk(name), *bulks))
    except BrokerFull:  # removals pass there, too
        broker.ask(packed(b"ZREM", broker.keys.plans, bulk(staging.root)))
        for name in (*staging.lists, *staging.hashes):
            broker.ask(packed(b"UNLINK", bulk(name)))
        raise


def _chunks(fields: dict[bytes, bytes]) -> Iterator[list[bytes]]:
    part: list[bytes] = []
    size = 0
    for name, value in fields.items():
        part += (bulk(name), bulk(value))
        size += len(value)
        if len(part) == 2 * CHUNK or size >= CHUNK_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part
