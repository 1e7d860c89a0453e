"""What operators look at: the jobs of a queue, the locks that stand, the alarms that are on."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import unquote

from onqueue.contracts import Alarm, LockState, QueuedJob, ReservedJob
from onqueue.drivers.redis.health import danger_in
from onqueue.drivers.redis.keys import bulk
from onqueue.drivers.redis.returning import restore
from onqueue.drivers.redis.wire import packed
from onqueue.quotas import Spent

if TYPE_CHECKING:
    from collections.abc import Callable

    from onqueue.contracts import JobState
    from onqueue.drivers.redis.wire import Broker, Reply
    from onqueue.quotas import Quota

_FIRST, _LAST = bulk(b"0"), bulk(b"-1")
_SCORES = bulk(b"WITHSCORES")
_A_SCAN = bulk(b"500")
_PROMISED = b"~"


def _number(value: int) -> bytes:
    return bulk(b"%d" % value)


class RedisInspection:
    """Looks at one connection; what it returns was true when it was read, part by part."""

    def __init__(self, broker: Broker) -> None:
        """Ask over the connection's lines."""
        self._broker = broker
        self._keys = broker.keys
        self._of_state: dict[JobState, Callable[[str, int], list[QueuedJob]]] = {
            "ready": self._ready,
            "delayed": self._delayed,
            "reserved": self._reserved,
            "parked": self._parked,
        }

    def jobs(self, queue: str, state: JobState, limit: int = 50, skip: int = 0) -> list[QueuedJob]:
        """Return jobs of a queue in one state: those ready or due first come first."""
        found = self._of_state[state](queue, skip + limit)[skip:]
        return self._with_payloads(found) if found else []

    def locks(self) -> list[LockState]:
        """Return the locks of middleware that stand, those nobody's any more with them."""
        pairs, holders, now = self._ask(
            packed(b"HGETALL", self._keys.locks),
            packed(b"ZRANGE", self._keys.holders, _FIRST, _LAST, _SCORES),
            packed(b"TIME"),
        )
        alive = {
            token.decode()
            for token, expiry in zip(holders[::2], holders[1::2], strict=True)
            if not expiry.startswith(b"-")
        }
        now_ms = self._now(now)
        locks = [
            self._lock(lane, owner, alive, now_ms)
            for lane, owner in zip(pairs[::2], pairs[1::2], strict=True)
        ]
        waiting = [lock.owner for lock in locks if not lock.holder]
        known = self._known(waiting)
        return sorted(
            (
                lock.orphaned_by(not known[lock.owner]) if not lock.holder else lock
                for lock in locks
            ),
            key=lambda lock: lock.name,
        )

    def spent(self, quota: Quota) -> Spent:
        """Return what jobs have used of a "rate" or a "moving" one; `ValueError` for others.

        Of a rate that counts with places that workers have used in advance for jobs they hold.
        """
        if quota.kind not in {"rate", "moving"}:
            msg = f"Nothing is spent of {quota.key!r}, which is of the kind {quota.kind!r}"
            raise ValueError(msg)
        key, span = bulk(self._keys.quota(quota)[0]), quota.span * 1000
        if quota.kind == "moving":
            most = _number(quota.most - 1)
            found, now = self._ask(packed(b"LRANGE", key, _FIRST, most), packed(b"TIME"))
            now_ms = self._now(now)
            ends = [end for at in found if (end := min(int(at), now_ms) + span) > now_ms]
            return Spent(len(ends), (min(ends) - now_ms) / 1000 if ends else None)
        text, now = self._ask(packed(b"GET", key), packed(b"TIME"))
        ends_at, count = map(int, (text or b"0 0").split())
        left = ends_at - self._now(now)
        # As in `_quota.lua`: an end farther away than a window comes from a clock that jumped.
        return Spent(count, left / 1000) if 0 < left <= span else Spent(0)

    def danger(self) -> str:
        """Return why jobs are not safe in the server, "" when they are as far as can be told."""
        return danger_in(self._broker)

    def alarm(self, name: str, *, on: bool, remind: float = 0.0) -> Alarm:
        """Set an alarm on or off; return what there is to tell, to one of all who ask at once.

        With `remind` an alarm that stays on is to be told again every so many seconds. Asking again
        after a lost answer returns what was lost.
        """
        token = secrets.token_hex(8).encode()
        call = self._broker.scripts.alarm(name.encode(), token, on=on, remind=remind)
        return Alarm(int(self._broker.run(call)))

    # ---- the jobs of each state ----

    def _ready(self, queue: str, most: int) -> list[QueuedJob]:
        [ids] = self._ask(
            packed(b"LRANGE", self._keys.queue(queue).ready, _FIRST, _number(most - 1))
        )
        for lane in self._lanes(queue) if len(ids) < most else ():
            [more] = self._ask(packed(b"LRANGE", bulk(lane), _FIRST, _number(most - len(ids) - 1)))
            ids += more
            if len(ids) >= most:
                break
        return [QueuedJob(job_id.decode(), queue, "ready") for job_id in ids]

    def _lanes(self, queue: str) -> list[bytes]:
        """Return the lanes of a queue's fair jobs, the next one first."""
        [lanes] = self._ask(packed(b"LRANGE", self._keys.queue(queue).ring, _FIRST, _LAST))
        found: list[bytes] = lanes
        return found

    def _delayed(self, queue: str, most: int) -> list[QueuedJob]:
        key = self._keys.queue(queue).delayed
        pairs, now = self._ask(
            packed(b"ZRANGE", key, _FIRST, _number(most - 1), _SCORES), packed(b"TIME")
        )
        now_ms = self._now(now)
        return [
            QueuedJob(job_id.decode(), queue, "delayed", due_in=(float(due) - now_ms) / 1000)
            for job_id, due in zip(pairs[::2], pairs[1::2], strict=True)
        ]

    def _reserved(self, queue: str, most: int) -> list[QueuedJob]:
        [holders] = self._ask(packed(b"ZRANGE", self._keys.holders, _FIRST, _LAST))
        tokens = [token.decode() for token in holders]
        if not tokens:
            return []
        held = self._ask(*(packed(b"HGETALL", self._keys.holder(token).held) for token in tokens))
        return [
            QueuedJob(job_id.decode(), queue, "reserved", place=token)
            for token, pairs in zip(tokens, held, strict=True)
            for job_id, name in zip(pairs[::2], pairs[1::2], strict=True)
            if name == queue.encode()
        ][:most]

    def _parked(self, queue: str, most: int) -> list[QueuedJob]:
        ids: list[bytes] = []
        cursor, key = b"0", self._keys.queue(queue).lodging
        while len(ids) < most:
            [[cursor, part]] = self._ask(
                packed(b"SSCAN", key, bulk(cursor), bulk(b"COUNT"), _A_SCAN)
            )
            ids += part
            if cursor == b"0":
                break
        ids = ids[:most]
        if not ids:
            return []
        [places] = self._ask(packed(b"HMGET", self._keys.parked, *map(bulk, ids)))
        return [
            QueuedJob(job_id.decode(), queue, "parked", place=self._name_of(place or b"", queue))
            for job_id, place in zip(ids, places, strict=True)
        ]

    def _with_payloads(self, found: list[QueuedJob]) -> list[QueuedJob]:
        ids = [bulk(job.id.encode()) for job in found]
        payloads, states = self._ask(
            packed(b"HMGET", self._keys.payloads, *ids), packed(b"HMGET", self._keys.state, *ids)
        )
        complete = []
        for job, payload, state in zip(found, payloads, states, strict=True):
            # Between the two looks a job may have ended.
            if payload is not None:
                counters = ReservedJob(job.id, job.queue, payload)
                restore(counters, (state or b"").decode())
                complete.append(job.counted(counters))
        return complete

    # ---- locks ----

    def _lock(self, lane: bytes, text: bytes, alive: set[str], now_ms: float) -> LockState:
        holder, owner, expiry = text.split(b" ")
        ends_in = None if expiry == b"0" else (int(expiry) - now_ms) / 1000
        is_over = ends_in is not None and ends_in <= 0
        is_promised = holder == _PROMISED
        return LockState(
            name=self._name_of(lane),
            owner=owner.decode(),
            holder="" if is_promised else holder.decode(),
            expires_in=ends_in,
            orphaned=is_over or not (is_promised or holder.decode() in alive),
        )

    def _known(self, ids: list[str]) -> dict[str, bool]:
        if not ids:
            return {}
        [found] = self._ask(
            packed(b"HMGET", self._keys.payloads, *(bulk(job_id.encode()) for job_id in ids))
        )
        return {job_id: one is not None for job_id, one in zip(ids, found, strict=True)}

    def _name_of(self, place: bytes, queue: str = "") -> str:
        """Return what a lane is called, of its key or of a parked job's place."""
        lane = place.rpartition(b"\n")[2]
        if queue:
            lane = lane.removeprefix(self._keys.waiting_lanes(self._keys.queue(queue)))
        return unquote(lane.removeprefix(self._keys.lane("")).decode())

    # ---- parts ----

    def _ask(self, *commands: bytes) -> list[Reply]:
        return self._broker.ask(*commands)

    def _now(self, time: list[bytes]) -> float:
        seconds, micros = time
        offset = self._broker.scripts.offset
        return int(seconds) * 1000 + int(micros) / 1000 + offset * 1000
