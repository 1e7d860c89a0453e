"""The names of all keys of a connection; no other module and no script puts a key together.

Keys are kept the way they travel: as bulk strings of the wire protocol. All share the prefix's hash
tag, so that every script of a connection stays within one slot of a cluster.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from onqueue.config import QUEUE_NAME, fits_key
from onqueue.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onqueue.quotas import Quota

_OF_A_QUOTA = (b"quota:", b"waiters:")

ON_THE_DESK = (
    *("payloads", "state", "ties", "queues", "claims", "successors"),
    *("transfers", "errands", "batches", "plans"),
)

LONGEST_LANE = 240
"""Bytes of a lock's name in its key; the rest of a longer one is told by its hash."""

_NOT_PLAIN = re.compile("[^!-$&-~]+")
"""All but what ASCII shows; a blank and a percent sign would be read as parts of the key."""


def bulk(text: bytes) -> bytes:
    """Return the text as a bulk string of the wire protocol."""
    return b"$%d\r\n%b\r\n" % (len(text), text)


@dataclass(slots=True, frozen=True)
class QueueKeys:
    """The keys of one queue."""

    raw: bytes
    """Its name as it is; all else is on the wire's form."""
    name: bytes
    ready: bytes
    delayed: bytes
    wake: bytes
    lodging: bytes
    timers: bytes
    ring: bytes
    """The lanes of its fair jobs that are not empty, in the order of their turns."""
    offers: bytes
    """Who waits for its jobs and may be handed one."""
    shares: bytes
    """What the lanes weigh, and what is left of the first one's turn."""
    lanes: bytes
    """What the raw keys of its lanes begin with."""
    places: bytes
    """That, and the raw keys ring and shares, a line each: what a job needs to come to its lane."""
    place: bytes
    """The raw keys ready, wake and lodging, a line each: what a parked job needs to come back."""
    post: bytes
    """The name and the raw keys ready, delayed and wake, a line each: where a parcel goes."""
    sign: bytes
    """The raw keys timers and wake, a line each: what a lane needs to be called in."""

    @property
    def trio(self) -> tuple[bytes, bytes, bytes]:
        """The keys in the order in which scripts on many queues take them."""
        return (self.ready, self.delayed, self.wake)


@dataclass(slots=True, frozen=True)
class HolderKeys:
    """The keys of one holder."""

    holder: bytes
    held: bytes
    unstarted: bytes
    unfinished: bytes
    held_locks: bytes
    held_slots: bytes
    tomb_unstarted: bytes
    tomb_unfinished: bytes
    inbox: bytes
    """What is handed to it while it waits; the channel on which it shows that it is there."""
    address: bytes
    """All that whoever pushes a job needs to hand it to the holder, a line each."""
    token: bytes


@dataclass(slots=True, frozen=True)
class ScheduleKeys:
    """The keys of a schedule that exist once."""

    leader: bytes
    vacancy: bytes
    bell: bytes
    orders: bytes
    entries: bytes
    paused: bytes


class Keys:
    """All keys under one prefix."""

    def __init__(self, prefix: str) -> None:
        """Prepare the keys that exist once."""
        self._base = (prefix + ":").encode()
        self.payloads = self._key(b"payloads")
        self.state = self._key(b"state")
        self.holders = self._key(b"holders")
        self.idle = self._key(b"idle")
        """The holders that wait and were handed nothing."""
        self.locks = self._key(b"locks")
        self.parked = self._key(b"parked")
        self.parking = self._key(b"parking")
        self.lanes = self._key(b"lanes")
        self.granted = self._key(b"granted")
        self.raw_paused = self._base + b"paused"
        self.paused = bulk(self.raw_paused)
        self.never_paused = self._key(b"never-paused")
        """Holds nothing: what a forced worker reads instead of `paused`."""
        self.restart = self._key(b"restart")
        self.queues = self._key(b"queues")
        self.alarms = self._key(b"alarms")
        self.unknown_lanes = self._base + b"parked:unknown:"
        names = (b"leader", b"vacancy", b"bell", b"orders", b"entries", b"paused")
        self.schedule = ScheduleKeys(*(self._key(b"schedule", name) for name in names))
        self.ties = self._key(b"ties")
        self.fair = self._key(b"fair")
        """For each queue that had a lane told by a payload: where its lanes are."""
        self.claims = self._key(b"claims")
        self.successors = self._key(b"successors")
        self.transfers = self._key(b"transfers")
        self.errands = self._key(b"errands")
        self.batches = self._key(b"batches")
        self.plans = self._key(b"plans")
        self.desk = "".join(f"{name} {prefix}:{name}\n" for name in ON_THE_DESK).encode()
        """Names and keys, a line each, of all that the end of a job with a tie may change."""
        self._queues: dict[str, QueueKeys] = {}

    def _key(self, *parts: bytes) -> bytes:
        return bulk(self._base + b":".join(parts))

    def queue(self, name: str) -> QueueKeys:
        """Return the keys of a queue; raises `ConfigurationError` for a name that cannot be one."""
        found = self._queues.get(name)
        if found is None:
            raw = _checked(name)
            ready, wake, lodging, timers = (
                self._base + part + raw for part in (b"ready:", b"wake:", b"parked-in:", b"timers:")
            )
            lanes, ring, shares = (
                self._base + part + raw for part in (b"lane-of:", b"ring:", b"shares:")
            )
            lanes += b":"
            found = self._queues[name] = QueueKeys(
                raw=raw,
                name=bulk(raw),
                ready=bulk(ready),
                delayed=self._key(b"delayed", raw),
                wake=bulk(wake),
                lodging=bulk(lodging),
                timers=bulk(timers),
                ring=bulk(ring),
                offers=self._key(b"offers", raw),
                shares=bulk(shares),
                lanes=lanes,
                places=b"\n".join((lanes, ring, shares)),
                post=b"\n".join((raw, ready, self._base + b"delayed:" + raw, wake)),
                place=b"\n".join((ready, wake, lodging)),
                sign=b"\n".join((timers, wake)),
            )
        return found

    def holder(self, token: str) -> HolderKeys:
        """Return the keys of a holder."""
        raw = token.encode()
        parts = (b"held:", b"unstarted:", b"unfinished:", b"inbox:")
        held, unstarted, unfinished, inbox = (self._base + part + raw for part in parts)
        once = (self._base + part for part in (b"idle", b"holders", b"paused"))
        return HolderKeys(
            holder=bulk(raw),
            held=bulk(held),
            unstarted=bulk(unstarted),
            unfinished=bulk(unfinished),
            inbox=bulk(inbox),
            address=bulk(b"\n".join((raw, *once, held, unstarted, unfinished, inbox))),
            held_locks=self._key(b"held-locks", raw),
            held_slots=self._key(b"held-slots", raw),
            tomb_unstarted=self._key(b"tomb-unstarted", raw),
            tomb_unfinished=self._key(b"tomb-unfinished", raw),
            token=raw,
        )

    def lane(self, lock: str) -> bytes:
        """Return the raw key of the jobs parked for a lock, any text; it names the lock, too."""
        return self._base + b"parked:" + lane_name(lock)

    def waiting_lane(self, queue: QueueKeys, quotas: Sequence[Quota]) -> bytes:
        """Return the raw key of a queue's jobs that wait for the same quotas."""
        name = " ".join(f"{quota.kind} {quota.key}" for quota in quotas)
        return self.waiting_lanes(queue) + lane_name(name)

    def waiting_lanes(self, queue: QueueKeys) -> bytes:
        """Return what the raw keys of all lanes begin with in which a queue's jobs wait."""
        return b"%blane:%b:" % (self._base, queue.raw)

    def quota(self, quota: Quota) -> tuple[bytes, bytes, bytes]:
        """Return the raw keys of what a quota counts and of the lanes it calls in, and a field.

        The field is where a pause is found; it is empty for all else.
        """
        name = lane_name(quota.key)
        if quota.kind == "pause":
            return (self.raw_paused, self.pause_waiters(name), name)
        kind = quota.kind[:1].encode()
        count, waiters = (self._base + part + kind + b":" + name for part in _OF_A_QUOTA)
        return (count, waiters, b"")

    def pause_waiters(self, field: bytes) -> bytes:
        """Return the raw key of the lanes that wait for the end of a pause."""
        return self._base + b"waiters:p:" + field

    def pusher(self, token: bytes, place: int) -> bytes:
        """Return the key that remembers a dispatching line's last push at a place of its trips."""
        return self._key(b"pusher", token, b"%d" % place)

    def schedule_entry(self, name: str) -> tuple[bytes, bytes]:
        """Return the keys of what is known of an entry of the schedule, and of its history."""
        raw = name.encode()
        return (self._key(b"schedule", b"entry", raw), self._key(b"schedule", b"history", raw))

    def moving(self, token: str) -> bytes:
        """Return the raw key of a chain on its way to another connection."""
        return self._base + b"moving:" + token.encode()

    def plan(self, token: str, number: int = 0) -> bytes:
        """Return the raw key of one of a plan's hashes, or (0) of the list that tells of them."""
        return self._base + b"plan:%b:%d" % (token.encode(), number)

    def chain(self, chain_id: str) -> bytes:
        """Return the raw key of a chain."""
        return self._base + b"chain:" + chain_id.encode()

    def batch(self, batch_id: str) -> bytes:
        """Return the raw key of a batch."""
        return self._base + b"batch:" + batch_id.encode()

    def members(self, batch_id: str) -> bytes:
        """Return the raw key of a batch's ledger."""
        return self._base + b"batch-members:" + batch_id.encode()

    def fair_lane(self, queue: str, fair: str) -> list[bytes]:
        """Return the raw keys of a queue's lane for a fair key, of its ring and of its shares."""
        lanes, ring, shares = self.queue(queue).places.split(b"\n")
        return [lanes + lane_name(fair), ring, shares]

    def orders(self, of: HolderKeys) -> bytes:
        """Return the key of what a holder's parent is told to do."""
        return self._key(b"orders", of.token)

    def checkpoint(self, job_id: str) -> bytes:
        """Return the key of where a job would go on."""
        return self._key(b"checkpoint", job_id.encode())

    def progress(self, job_id: str) -> bytes:
        """Return the key of how far a job is."""
        return self._key(b"progress", job_id.encode())

    def seen(self, job_id: bytes) -> bytes:
        """Return the key that remembers a push made `once`."""
        return self._key(b"seen", job_id)


def lane_name(lock: str) -> bytes:
    """Return a lock's part of its key: any text can be a lock, so what breaks a key is quoted."""
    raw = _NOT_PLAIN.sub(_quoted, lock).encode()
    if len(raw) <= LONGEST_LANE:
        return raw
    return raw[:LONGEST_LANE] + b"~" + hashlib.sha256(raw).hexdigest().encode()


def _quoted(letter: re.Match[str]) -> str:
    return quote(letter[0], safe="", errors="surrogatepass")


def _checked(name: str) -> bytes:
    if not fits_key(name):
        raise ConfigurationError(f"Queue name {name!r:.200}", [f"it must have {QUEUE_NAME}"])
    return name.encode()
