"""The scripts the server runs: read from `lua/`, packed ready for the wire, one method a script.

Only this module, `tied_scripts` and `limit_scripts` know in which order a script takes its keys and
arguments. Longer than other files: it is a list with one short method for each script.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import TYPE_CHECKING

from onqueue.drivers.redis.keys import bulk
from onqueue.drivers.redis.ties import is_told

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from onqueue.contracts import Burial
    from onqueue.drivers.redis.keys import HolderKeys, Keys, QueueKeys

_HEAD_FLAGS = re.compile(r"^-- Flags (.+)$", re.MULTILINE)
_HERE = re.compile(r"^ *-- Here (\w+)\n", re.MULTILINE)
_HEAD_INCLUDES = re.compile(r"^-- Includes (.+)$", re.MULTILINE)

PROMISE_MS = b"60000"
"""How long a lock is kept for the parked job it woke."""

FAIR_TRIP = 12
"""Jobs of a few lanes that a trip brings when nobody gives them back for another lane."""

LONGEST_OFFER = 60.0
"""Seconds after which the server drops the offers of a queue for which no new one is made."""

_ONE, _ZERO, _NOTHING = bulk(b"1"), bulk(b"0"), bulk(b"")


class Code(IntEnum):
    """What scripts answer where they answer with a number."""

    REPEATED = -2
    LOST = -1
    NOT_HELD = 0
    DONE = 1
    FREE = 2
    DONE_AND_MORE = 3


class Script:
    """One script in both forms: plain, and with the header that servers from 7.0 on know."""

    def __init__(self, name: str, source: str) -> None:
        """Prepare hash and text of both forms."""
        self.name = name
        flags = _head(_HEAD_FLAGS, source)
        header = f"#!lua flags={','.join(flags)}\n" if flags else ""
        # Without the header, 6.2 lets a script pass on a full server when its first write removes
        # something; every script that must pass is written that way.
        self.source = (source.encode(), (header + source).encode())
        self.sha = tuple(
            bulk(sha1(text, usedforsecurity=False).hexdigest().encode()) for text in self.source
        )


def _head(pattern: re.Pattern[str], source: str) -> list[str]:
    found = pattern.search(source)
    words = found[1].split() if found else []
    return [] if words == ["none"] else words


@cache
def script(name: str) -> Script:
    """Return the script `lua/NAME.lua` with the fragments it includes in front of it.

    A fragment that includes others stands behind these; each stands there once. What only some
    calls need is defined where they need it, by a line "-- Here NAME": each definition costs
    every call of the script about a tenth of a microsecond.
    """
    parts: dict[str, str] = {}
    _gather(name, parts)
    return Script(name, "".join(parts.values()))


def _gather(name: str, parts: dict[str, str]) -> None:
    folder = files("onqueue.drivers.redis") / "lua"
    source = (folder / f"{name}.lua").read_text(encoding="utf-8")
    for part in _head(_HEAD_INCLUDES, source):
        if part not in parts:
            _gather(part, parts)
    parts[name] = _HERE.sub(lambda found: _inner(found[1], parts), source)


def _inner(name: str, outer: dict[str, str]) -> str:
    parts = dict.fromkeys(outer, "")
    _gather(name, parts)
    return "".join(parts.values())


@dataclass(slots=True, frozen=True)
class Call:
    """A script with its keys and arguments, packed but for the hash."""

    script: Script
    count: int
    tail: bytes

    def packed(self, form: int) -> bytes:
        """Return the EVALSHA command for the plain (0) or the newer (1) form."""
        return b"*%d\r\n$7\r\nEVALSHA\r\n%b%b" % (self.count, self.script.sha[form], self.tail)


def call(name: str, keys: Sequence[bytes], args: Sequence[bytes]) -> Call:
    """Return a call; keys and arguments are bulk strings already."""
    tail = b"".join((bulk(b"%d" % len(keys)), *keys, *args))
    return Call(script(name), 3 + len(keys) + len(args), tail)


def milliseconds(seconds: float) -> bytes:
    """Return seconds as whole milliseconds in a bulk string, never less than asked for."""
    return bulk(b"%d" % _whole_ms(seconds))


def _whole_ms(seconds: float) -> int:
    return -int(-seconds * 1000 // 1)


class Scripts:
    """All scripts of a connection; `offset` (seconds) shifts the server's clock in tests."""

    def __init__(self, keys: Keys) -> None:
        """Work on these keys."""
        self.keys = keys
        self.offset = 0.0
        self._plain_desk = bulk(keys.desk + b"offset 0\n")

    @property
    def _offset(self) -> bytes:
        return _ZERO if self.offset == 0 else milliseconds(self.offset)

    @property
    def desk(self) -> bytes:
        """Names and keys of what ties may change, as one argument."""
        if self.offset == 0:
            return self._plain_desk
        return bulk(b"%boffset %d\n" % (self.keys.desk, _whole_ms(self.offset)))

    # ---- dispatching ----

    def push(
        self,
        queue: QueueKeys,
        jobs: Sequence[tuple[bytes, ...]],
        *,
        tied: bool = False,
        pusher: bytes,
        sequence: int,
        repeated: bool,
        once: float = 0.0,
        seen: Sequence[bytes] = (),
    ) -> Call:
        """Store jobs (id, payload, tie when `tied`) that are ready at once.

        In the place of a tie stands weight and name of a lane that the payload tells. `seen` has
        a key for each when pushed once.
        """
        keys = self.keys
        head = [queue.name, bulk(b"%d" % sequence), flag(repeated), milliseconds(once)]
        head += (flag(tied), self._offset)
        tells = tied and any(is_told(job[2]) for job in jobs)
        head.append(bulk(queue.lanes) if tells else _NOTHING)
        return call(
            "push",
            [
                *(keys.payloads, queue.ready, queue.wake, keys.queues, pusher, keys.ties),
                *(queue.offers, keys.fair, queue.ring, queue.shares, *seen),
            ],
            head + [bulk(part) for job in jobs for part in job],
        )

    def later(
        self,
        queue: QueueKeys,
        jobs: Sequence[tuple[bytes, bytes, float]],
        *,
        ties: Sequence[bytes] = (),
        pusher: bytes,
        sequence: int,
        repeated: bool,
        once: float = 0.0,
        seen: Sequence[bytes] = (),
    ) -> Call:
        """Store jobs that are due after their delay in seconds; `ties` has one for each or none.

        Ties and `seen` as in `push`.
        """
        keys = self.keys
        args = [queue.name, bulk(b"%d" % sequence), flag(repeated), milliseconds(once)]
        args += (self._offset, flag(bool(ties)))
        args.append(bulk(queue.places) if any(map(is_told, ties)) else _NOTHING)
        for at, (job_id, payload, delay) in enumerate(jobs):
            args += (bulk(job_id), bulk(payload), milliseconds(delay))
            if ties:
                args.append(_NOTHING if is_told(ties[at]) else bulk(ties[at]))
        return call(
            "later",
            [
                *(keys.payloads, queue.delayed, queue.wake, keys.queues, pusher, keys.ties),
                *(keys.fair, *seen),
            ],
            args,
        )

    def clear(self, queue: QueueKeys) -> Call:
        """Remove some of a queue's waiting jobs."""
        keys = self.keys
        return call(
            "clear",
            [
                *(queue.ready, queue.delayed, queue.lodging),
                *(keys.parked, keys.payloads, keys.state, keys.parking, keys.ties),
                *(queue.ring, queue.shares),
            ],
            [self.desk],
        )

    def forget(self, job_id: bytes, queues: Iterable[QueueKeys]) -> Call:
        """Remove one waiting job."""
        keys = self.keys
        places = [key for queue in queues for key in (queue.ready, queue.delayed)]
        return call(
            "forget",
            [keys.parked, keys.payloads, keys.state, keys.parking, keys.ties, keys.fair, *places],
            [bulk(job_id), self.desk],
        )

    def replay(self, lane: bytes) -> Call:
        """Put some of a lane's jobs back to their queues."""
        keys = self.keys
        return call("replay", [bulk(lane), keys.parked, keys.payloads, keys.parking], [])

    # ---- a holder's work ----

    def turn(
        self,
        of: HolderKeys,
        queues: Sequence[QueueKeys],
        want: int,
        done: Sequence[str],
        *,
        tie: str = "",
        force: bool = False,
        fair: int = FAIR_TRIP,
        in_order: bool = False,
        waited: bool = False,
        offers: float = 0.0,
    ) -> Call:
        """Confirm finished jobs and reserve the next; `force` is blind to pauses.

        When there are none, and it `offers` itself for some seconds, a push may hand it a job: from
        then on until these are over or until the next turn, which is told that it `waited`.

        All that are finished have this `tie`, or "-": at most a lane each; "": nobody knows.

        Of a few lanes it brings at most `fair` jobs. They are run one after the other when
        `in_order`, so that the start of one tells that those before have ended.
        """
        keys = self.keys
        paused = keys.never_paused if force else keys.paused
        trios = [key for queue in queues for key in queue.trio]
        timers = [queue.timers for queue in queues]
        rings = [*(queue.ring for queue in queues), *(queue.shares for queue in queues)]
        rings += [queue.offers for queue in queues]
        args = [of.holder, self._offset, bulk(b"%d" % want), bulk(b"%d" % len(queues))]
        args += (self.desk, bulk(b"%d" % fair), flag(in_order), flag(waited))
        args += (of.address if offers else _NOTHING, milliseconds(min(offers, LONGEST_OFFER)))
        args.append(bulk(tie.encode()))
        args += [queue.name for queue in queues]
        args += [bulk(job_id.encode()) for job_id in done]
        return call(
            "turn",
            [
                *(keys.holders, of.held, of.unstarted, of.unfinished),
                *(keys.payloads, keys.state, paused, keys.ties, *trios, *timers),
                *(of.held_slots, keys.parked, keys.lanes, keys.granted, *rings),
                *(keys.idle, of.inbox, keys.fair),
            ],
            args,
        )

    def finish(self, of: HolderKeys, job_id: bytes, outcome: str) -> Call:
        """Remove a job that has ended."""
        keys = self.keys
        return call(
            "finish",
            [
                *(keys.holders, of.held, of.unstarted, of.unfinished),
                *(keys.payloads, keys.state, keys.ties),
            ],
            [of.holder, bulk(job_id), bulk(outcome.encode()), self.desk],
        )

    def release(
        self,
        of: HolderKeys,
        queue: QueueKeys,
        job_id: bytes,
        *,
        delay: float,
        attempts: int,
        exceptions: int,
        deaths: int,
    ) -> Call:
        """Give a job back with new counters."""
        keys = self.keys
        return call(
            "release",
            [
                *(keys.holders, of.held, of.unstarted, of.unfinished, keys.state),
                *queue.trio,
            ],
            [
                *(of.holder, bulk(job_id), self._offset, milliseconds(delay)),
                *(bulk(b"%d" % count) for count in (attempts, exceptions, deaths)),
            ],
        )

    def give_back(self, of: HolderKeys, queue: QueueKeys, ids: Sequence[bytes]) -> Call:
        """Return unstarted jobs of one queue to its front."""
        return call(
            "give_back",
            [
                *(self.keys.holders, of.held, of.unstarted, of.unfinished),
                *(queue.ready, queue.wake, self.keys.ties, self.keys.payloads, self.keys.fair),
            ],
            [of.holder, queue.name, *map(bulk, ids)],
        )

    def park(
        self, of: HolderKeys, queue: QueueKeys, job_id: bytes, lane: bytes, *, locked: bool
    ) -> Call:
        """Let a job wait in a lane."""
        keys = self.keys
        return call(
            "park",
            [
                *(keys.holders, of.held, of.unstarted, of.unfinished, keys.payloads, keys.locks),
                *(bulk(lane), keys.parked, keys.parking, queue.lodging),
            ],
            [
                *(of.holder, bulk(job_id), self._offset),
                *(bulk(queue.place + b"\n" + lane), flag(locked)),
            ],
        )

    def note(self, of: HolderKeys, job_id: bytes, *, key: bytes, text: bytes, seconds: int) -> Call:
        """Write down a note about a running job, kept for so many seconds."""
        return call(
            "note",
            [self.keys.holders, of.held, key],
            [of.holder, bulk(job_id), bulk(text), bulk(b"%d" % seconds)],
        )

    def size(self, queue: QueueKeys, holders: Sequence[HolderKeys]) -> Call:
        """Count a queue's jobs, those of these holders among them."""
        keys = [queue.ready, queue.ring, queue.delayed, queue.lodging, self.keys.holders]
        return call(
            "size",
            [*keys, *(of.held for of in holders)],
            [queue.name, *(of.holder for of in holders)],
        )

    def order(self, of: HolderKeys, job_id: bytes, order: bytes) -> Call:
        """Have a holder's parent carry out an order about a job that it holds."""
        keys = self.keys
        return call(
            "order",
            [keys.holders, of.held, keys.orders(of), keys.ties],
            [of.holder, bulk(job_id), bulk(order)],
        )

    # ---- locks ----

    def lock(self, of: HolderKeys, lane: bytes, job_id: bytes, expire_after: float | None) -> Call:
        """Take a lock."""
        keys = self.keys
        return call(
            "lock",
            [keys.holders, keys.locks, of.held_locks, bulk(lane), keys.payloads],
            [of.holder, bulk(job_id), self._offset, milliseconds(expire_after or 0)],
        )

    def unlock(self, of: HolderKeys, lane: bytes, job_id: bytes) -> Call:
        """Give a lock back."""
        keys = self.keys
        return call(
            "unlock",
            [
                *(keys.holders, keys.locks, of.held_locks, bulk(lane)),
                *(keys.parked, keys.payloads, keys.parking),
            ],
            [of.holder, bulk(job_id), self._offset, bulk(PROMISE_MS)],
        )

    def sweep(self) -> Call:
        """Let go of orphaned locks."""
        keys = self.keys
        return call(
            "sweep",
            [keys.holders, keys.locks, keys.parked, keys.payloads, keys.parking],
            [self._offset, bulk(PROMISE_MS), bulk(keys.unknown_lanes)],
        )

    # ---- leases ----

    def lease(self, of: HolderKeys, seconds: float, *, opening: bool) -> Call:
        """Open or renew a lease."""
        return call(
            "lease",
            [self.keys.holders],
            [of.holder, self._offset, milliseconds(seconds), flag(opening)],
        )

    def lapsed(self, longest: float) -> Call:
        """List holders whose lease is over."""
        return call("lapsed", [self.keys.holders], [self._offset, milliseconds(longest)])

    def condemn(self, of: HolderKeys, *, if_over: bool) -> Call:
        """End a lease for good, or (`if_over`) only one that has run out."""
        return call(
            "condemn",
            [
                *(self.keys.holders, of.held, of.unstarted, of.unfinished),
                *(of.tomb_unstarted, of.tomb_unfinished, self.keys.idle),
            ],
            [of.holder, self._offset, flag(if_over)],
        )

    def bury(self, of: HolderKeys, queues: Sequence[QueueKeys], cause: Burial) -> Call:
        """Requeue some of what a condemned holder held."""
        keys = self.keys
        guilty = "".join(
            f"{guilt.job_id} {_whole_ms(guilt.delay)} {guilt.doom}\n" for guilt in cause.guilty
        )
        trios = [key for queue in queues for key in queue.trio]
        return call(
            "bury",
            [
                *(keys.holders, of.held, of.tomb_unstarted, of.tomb_unfinished),
                *(keys.payloads, keys.state, keys.ties, keys.fair, *trios),
            ],
            [
                *(of.holder, self._offset, bulk(cause.kind.encode()), milliseconds(cause.delay)),
                *(bulk(cause.doom.encode()), bulk(guilty.encode()), self.desk),
                *(queue.name for queue in queues),
            ],
        )

    def close_grave(self, of: HolderKeys) -> Call:
        """Free a buried holder's locks and forget it."""
        keys = self.keys
        return call(
            "close_grave",
            [
                *(keys.holders, of.held, of.tomb_unstarted, of.tomb_unfinished, of.held_locks),
                *(keys.locks, keys.parked, keys.payloads, keys.parking, keys.idle, of.inbox),
            ],
            [of.holder, self._offset, bulk(PROMISE_MS)],
        )

    # ---- a schedule ----

    def lead(self, token: bytes, lease: float, name: bytes) -> Call:
        """Take, renew or (a lease of 0) give up the leadership."""
        keys = self.keys.schedule
        args = [bulk(token), self._offset, milliseconds(lease), bulk(name)]
        return call("lead", [keys.leader, keys.vacancy], args)

    def tick(
        self,
        token: bytes,
        entry: str,
        guard: tuple[bytes, bytes],
        *,
        job: tuple[bytes, bytes] | None,
        queue: QueueKeys,
        changes: Sequence[bytes],
        records: Sequence[bytes],
        keep: int,
    ) -> Call:
        """Settle a tick, and push its job (id, payload); `changes` are fields with their values."""
        keys = self.keys
        state, history = keys.schedule_entry(entry)
        job_id, payload = job or (b"", b"")
        args = [*map(bulk, (token, *guard, entry.encode())), queue.name]
        rest = (job_id, payload, b"%d" % keep, b"%d" % len(changes), *changes, *records)
        return call(
            "tick",
            [
                *(keys.schedule.leader, state, history, keys.schedule.orders),
                *(keys.schedule.entries, keys.payloads, queue.ready, queue.wake, keys.queues),
            ],
            [*args, *map(bulk, rest)],
        )

    def alarm(self, name: bytes, token: bytes, *, on: bool, remind: float) -> Call:
        """Set an alarm on or off; `remind` is seconds."""
        args = [bulk(name), flag(on), self._offset, milliseconds(remind), bulk(token)]
        return call("alarm", [self.keys.alarms], args)

    def nudge(self, queues: Sequence[QueueKeys]) -> Call:
        """Post tokens where somebody should look."""
        keys = [key for queue in queues for key in (*queue.trio, queue.timers, queue.ring)]
        return call("nudge", keys, [])


def flag(value: bool) -> bytes:  # noqa: FBT001 - it is the value itself
    """Return 1 or 0 as a bulk string."""
    return _ONE if value else _ZERO
