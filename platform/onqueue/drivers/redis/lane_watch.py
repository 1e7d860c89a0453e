"""Lets a trip bring many jobs of a few lanes, while no other lane has to wait for them."""

from __future__ import annotations

import json
import select
from functools import lru_cache
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from onqueue.drivers.redis.keys import bulk
from onqueue.drivers.redis.scripts import FAIR_TRIP
from onqueue.drivers.redis.wire import packed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onqueue.contracts import ReservedJob
    from onqueue.drivers.redis.wire import Broker

LOOK = 6
"""Started jobs between two looks: an answer is read one look later, so that nobody waits for it."""

PATIENCE_MS = 1000
"""How long a look that is not answered yet is waited for; then jobs go on without it."""


class LaneWatch:
    """Looks, while jobs of a few lanes are run, whether a lane waits that has none of the rest."""

    def __init__(self, broker: Broker, most: int) -> None:
        """Let trips grow to `most` jobs while no other lane appears."""
        self._line = broker.line()
        self._limit = most
        self.most = min(FAIR_TRIP, most)
        """How many jobs of a few lanes the next trip may bring."""
        self.is_on = False
        """Whether `started` wants to hear of each start."""
        self._lanes: list[bytes] = []
        self._ask = b""
        self._at = 0
        self._round = FAIR_TRIP
        self._is_asked = False

    def stay_short(self) -> None:
        """Let trips bring few jobs only: whoever runs them does not hear of others."""
        self._limit = self.most = min(FAIR_TRIP, self._limit)

    def begin(self, jobs: Sequence[ReservedJob], ring: bytes) -> None:
        """Watch over what a trip brought from the lanes of a ring."""
        self.most = min(self._limit, self.most * 2)
        if len(jobs) <= FAIR_TRIP:
            return
        found = [_lane_of(job.tie) for job in jobs]
        self._lanes = [lane for lane, _ in found]
        kinds = set(found)
        self.is_on = (b"", False) not in kinds and len(kinds) <= FAIR_TRIP
        # Whoever had a turn a round ago has another with what is left, or in the next trip.
        self._round = len(jobs) if any(is_weighted for _, is_weighted in kinds) else FAIR_TRIP
        # One more than there are of its own: then one of them is another's.
        self._ask = packed(b"LRANGE", ring, bulk(b"0"), bulk(b"%d" % FAIR_TRIP))
        self._at = 0
        self._hear()

    def started(self) -> bool:
        """Take note of a start; True when the rest should go back for another lane's sake."""
        self._at += 1
        if self._at % LOOK:
            return False
        left = len(self._lanes) - self._at
        found = self._hear()
        if left > LOOK:
            self._look()
        else:
            self.is_on = False
        if set(found) <= set(self._lanes[max(0, self._at - self._round) :]):
            return False
        self.is_on = False
        self.most = min(FAIR_TRIP, self._limit)
        return left > 0

    def close(self) -> None:
        """Close the line."""
        self._line.drop()

    def _look(self) -> None:
        if not self._is_asked:
            try:
                self._line.send(self._ask)
                self._is_asked = True
            except RedisError:  # the next turn tells what became of the broker
                self._line.drop()

    def _hear(self) -> list[bytes]:
        """Return the lanes that waited at the last look; nothing when nobody knows."""
        found: list[bytes] = []
        if self._is_asked:
            try:
                poll = select.poll()
                poll.register(self._line.fileno(), select.POLLIN)
                if poll.poll(PATIENCE_MS):
                    found = self._line.receive()
                else:
                    self._line.drop()
            except RedisError:
                self._line.drop()
            self._is_asked = False
        return found


@lru_cache(maxsize=4096)
def _lane_of(tie: str) -> tuple[bytes, bool]:
    """Return the key of the lane that a job's tie names, "" without one, and if it has a weight."""
    parts = json.loads(tie) if tie else {}
    lane: str = parts["f"][0] if "f" in parts else ""
    return lane.encode(), "w" in parts
