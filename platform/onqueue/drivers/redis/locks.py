"""Locks that end with their holder's lease at the latest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.exceptions import ConnectionError as Disconnected

from onqueue.drivers.redis.scripts import Code
from onqueue.drivers.redis.translation import GONE
from onqueue.errors import LeaseLost

if TYPE_CHECKING:
    from collections.abc import Iterable

    from onqueue.contracts import JobId
    from onqueue.drivers.redis.keys import HolderKeys
    from onqueue.drivers.redis.scripts import Call
    from onqueue.drivers.redis.wire import Broker, Line


class RedisLocks:
    """The locks of one holder.

    A lock ends when it is released, when its `expire_after` is over, or with its holder's lease.
    A job that ends without giving its lock back loses it when its end is confirmed.
    """

    def __init__(self, of: HolderKeys, broker: Broker, line: Line, holder: str) -> None:
        """Use the consumer's own line."""
        self._of = of
        self._broker = broker
        self._line = line
        self._holder = holder
        self.taken: dict[str, JobId] = {}

    def acquire(self, key: str, owner: JobId, expire_after: float | None) -> bool:
        """Take the lock; True when it is the owner's now. Raises `LeaseLost`."""
        lane = self._broker.keys.lane(key)
        call = self._broker.scripts.lock(self._of, lane, owner.encode(), expire_after)
        code = self._run(call)
        if code == Code.LOST:
            raise LeaseLost(self._holder, owner)
        if code == Code.DONE:
            self.taken[key] = owner
        return code == Code.DONE

    def release(self, key: str, owner: JobId) -> bool:
        """Give the lock back and wake one job parked for it; False when it is not the owner's."""
        call = self._broker.scripts.unlock(self._of, self._broker.keys.lane(key), owner.encode())
        code = self._run(call, repeated=Code.DONE)
        if self.taken.get(key) == owner:
            del self.taken[key]
        return code == Code.DONE

    def release_of(self, owners: Iterable[JobId]) -> None:
        """Give back what these jobs, which have ended, still hold."""
        ended = set(owners)
        for key, owner in list(self.taken.items()):
            if owner in ended:
                self.release(key, owner)

    def _run(self, call: Call, repeated: Code = Code.NOT_HELD) -> int:
        with self._broker.translating():
            try:
                return int(self._line.run(call))
            except Disconnected:
                self._line.drop()
                code = int(self._line.run(call))
                return repeated if code == Code.NOT_HELD else code
            except GONE:
                self._line.drop()
                raise
