"""Lets a trip bring many jobs of a few lanes, while no other lane has to wait for them.

The server says on the channel of a ring when a lane queues up there, as it answers whoever
dispatched. So nobody asks for it while one tenant is alone, and nobody waits for such an answer.
"""

from __future__ import annotations

import json
import select
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, cast

from redis.exceptions import RedisError, ResponseError

from onqueue.drivers.redis.keys import bulk
from onqueue.drivers.redis.scripts import FAIR_TRIP
from onqueue.drivers.redis.ties import TELLS, TOLD, WITHOUT_WEIGHT, told_lane
from onqueue.drivers.redis.wire import packed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onqueue.contracts import ReservedJob
    from onqueue.drivers.redis.keys import QueueKeys
    from onqueue.drivers.redis.wire import Broker, Line

LOOK = 4
"""Started jobs between two looks at what was heard."""


class _Heard(Protocol):
    def can_read(self, timeout: float) -> bool: ...


class LaneWatch:
    """Hears, while jobs of a few lanes are run, whether a lane waits that has none of the rest."""

    def __init__(self, broker: Broker, work: Line, most: int, rings: Sequence[bytes]) -> None:
        """Let trips grow to `most` jobs while no other lane appears; `work` is the consumer's."""
        self._line = broker.line()
        self._work = work
        self._rings = rings
        self._limit = most
        self.most = min(FAIR_TRIP, most)
        """How many jobs of a few lanes the next trip may bring."""
        self.is_on = False
        """Whether `started` wants to hear of each start."""
        self._poll: select.poll | None = None
        self._unheard = 0  # answers to the subscription that are due
        self._news: set[bytes] = set()
        self._lanes: list[bytes] = []
        self._ask = b""
        self._at = 0
        self._round = FAIR_TRIP

    def stay_short(self) -> None:
        """Let trips bring few jobs only: whoever runs them does not hear of others."""
        self._limit = self.most = min(FAIR_TRIP, self._limit)

    def begin(self, jobs: Sequence[ReservedJob], queue: QueueKeys) -> None:
        """Watch over what a trip brought from the lanes of a queue."""
        lanes = _lanes_of(jobs, queue) if len(jobs) >= FAIR_TRIP else []
        kinds = set(lanes)
        if not 0 < len(kinds) <= FAIR_TRIP or (b"", False) in kinds:
            self._stop()  # no trip would be longer if it were heard of others
            return
        # What came before this trip was taken may be news no more; what came since is.
        self._news = set()
        if self._limit > FAIR_TRIP and self._hears():
            self.most = min(self._limit, self.most * 2)
        self.is_on = len(jobs) > FAIR_TRIP
        if not self.is_on:
            return
        self._lanes = [lane for lane, _ in lanes]
        # Whoever had a turn a round ago has another with what is left, or in the next trip.
        self._round = len(jobs) if any(is_weighted for _, is_weighted in kinds) else FAIR_TRIP
        # One more than there are of its own: then one of them is another's.
        self._ask = packed(b"LRANGE", queue.ring, bulk(b"0"), bulk(b"%d" % FAIR_TRIP))
        self._at = 0

    def started(self) -> bool:
        """Take note of a start; True when the rest should go back for another lane's sake."""
        self._at += 1
        if self._at % LOOK and not self._news:
            return False
        is_deaf = not self._hears()
        if not is_deaf and not self._news:
            return False
        mine = set(self._lanes[max(0, self._at - self._round) :])
        strangers, self._news = self._news - mine, set()
        if not is_deaf and (not strangers or set(self._waiting()) <= mine):
            return False
        self._stop()
        return self._at < len(self._lanes)

    def end(self) -> None:
        """Take note of a trip that brought nothing from lanes."""
        if self._poll is not None:
            self._stop()

    def close(self) -> None:
        """Close the line."""
        self._poll = None
        self._line.drop()

    def _stop(self) -> None:
        self.is_on = False
        self.most = min(FAIR_TRIP, self._limit)
        if self._poll is not None:
            self.close()

    def _waiting(self) -> list[bytes]:
        """Return the lanes that wait; nothing when the broker is away: the next trip tells that."""
        try:
            found: list[bytes] = self._work.ask(self._ask)
        except RedisError:
            self._work.drop()
            return []
        return found

    def _hears(self) -> bool:
        """Read what was said; False while it is not sure that all is heard."""
        try:
            if self._poll is None:
                self._line.send(packed(b"SUBSCRIBE", *self._rings))
                self._poll, self._unheard = select.poll(), len(self._rings)
                self._poll.register(self._line.fileno(), select.POLLIN)
            elif self._poll.poll(0):
                self._read()
        except ResponseError:  # an ACL without the channel
            self.stay_short()
            self.close()
        except RedisError:
            self.close()
        return self._poll is not None and not self._unheard

    def _read(self) -> None:
        socket = cast("_Heard", self._line.open())
        while socket.can_read(0):
            kind, _, said = self._line.receive()
            if kind == b"message":
                self._news.add(said)
            else:
                self._unheard -= 1


def _lanes_of(jobs: Sequence[ReservedJob], queue: QueueKeys) -> list[tuple[bytes, bool]]:
    """Return the lanes of a trip, job by job; nothing when there are many."""
    if _are_many(jobs[: FAIR_TRIP + 1]):
        return []
    lanes = []
    known: dict[str | bytes, tuple[bytes, bool]] = {}
    kinds = set()
    for job in jobs:
        sign = _sign(job)
        lane = known.get(sign)
        if lane is None:
            lane = _lane_of(sign) if isinstance(sign, str) else _lane_told(sign, queue)
            known[sign] = lane
            kinds.add(lane)
            if len(kinds) > FAIR_TRIP:
                return []
        lanes.append(lane)
    return lanes


def _sign(job: ReservedJob) -> str | bytes:
    """Return what tells a job's lane: its tie, or the end of its payload."""
    # In a payload that tells nothing `rfind` is -1: the sign is its last byte, which is no lane's.
    return job.payload[job.payload.rfind(TELLS) :] if job.tie == TOLD else job.tie


def _are_many(jobs: Sequence[ReservedJob]) -> bool:
    """Tell whether the first jobs of a trip show at a glance that each is of another lane."""
    signs = {_sign(job) for job in jobs}
    # Jobs of one lane may have many weights.
    return len(signs) > FAIR_TRIP and all(
        isinstance(sign, bytes) and sign.startswith(TELLS) and sign.endswith(WITHOUT_WEIGHT)
        for sign in signs
    )


def _lane_told(sign: bytes, queue: QueueKeys) -> tuple[bytes, bool]:
    """Return the key of the lane that a payload tells, "" for none, and if it has a weight."""
    told = told_lane(sign)
    return (b"", False) if told is None else (queue.lanes + told[0].encode(), told[1] != 1)


@lru_cache(maxsize=4096)
def _lane_of(tie: str) -> tuple[bytes, bool]:
    """Return the key of the lane that a job's tie names, "" without one, and if it has a weight."""
    parts = json.loads(tie) if tie else {}
    lane: str = parts["f"][0] if "f" in parts else ""
    return lane.encode(), "w" in parts
