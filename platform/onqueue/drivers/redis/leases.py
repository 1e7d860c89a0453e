"""The parent's side of a connection: opens, renews and buries its children's holders."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from onqueue.contracts import Burial, ReservedJob
from onqueue.drivers.redis.keys import bulk
from onqueue.drivers.redis.limit_scripts import LimitScripts
from onqueue.drivers.redis.orders import RedisOrders
from onqueue.drivers.redis.returning import give_back, restore
from onqueue.drivers.redis.scripts import Code
from onqueue.drivers.redis.tied_scripts import TiedScripts
from onqueue.drivers.redis.wire import packed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onqueue.config import ConnectionConfig
    from onqueue.contracts import JobId
    from onqueue.drivers.redis.keys import HolderKeys
    from onqueue.drivers.redis.wire import Broker, Reply

LONGEST_LEASES = 4
"""An expiry more than so many leases away comes from a clock that jumped."""

MOST_LAPSED = 100
"""Holders one look lists; when there are so many, there may be more."""

QUEUES_A_CALL = 30


class RedisLeases:
    """Leases on the server's clock. Several parents may reap at once."""

    def __init__(self, broker: Broker, config: ConnectionConfig) -> None:
        """Use a broker of its own, so that no other traffic delays a renewal."""
        self._broker = broker
        self._keys = broker.keys
        self._scripts = broker.scripts
        self._limits = LimitScripts(broker.scripts)
        self._tied = TiedScripts(broker.scripts)
        self._lease = config.lease

    def open(self) -> str:
        """Register a new holder and return its token."""
        holder = secrets.token_hex(12)
        of = self._keys.holder(holder)
        self._broker.run(self._scripts.lease(of, self._lease, opening=True))
        return holder

    def renew(self, holder: str) -> float | None:
        """Return the seconds of lease counted from when the request was sent; None: lost."""
        of = self._keys.holder(holder)
        reply = self._broker.run(self._scripts.lease(of, self._lease, opening=False))
        return None if reply == Code.LOST else self._lease

    def give_back(self, holder: str, ids: Sequence[JobId]) -> list[JobId]:
        """Return unstarted jobs of a holder to their queues; return which it still held."""
        given = give_back(
            lambda command: self._broker.ask(command)[0],
            self._broker.run,
            self._scripts,
            self._keys.holder(holder),
            [job_id.encode() for job_id in ids],
        )
        gone = {job_id.decode() for job_id in given}
        return [job_id for job_id in ids if job_id in gone]

    def bury(self, holder: str, cause: Burial) -> list[ReservedJob]:
        """End a holder, requeue all it held, and return what was in flight.

        May be repeated, also by another process after a crash in between: it goes on.
        """
        return self._bury(holder, cause) or []

    def _bury(
        self, holder: str, cause: Burial, *, if_over: bool = False
    ) -> list[ReservedJob] | None:
        """Return None when there is no such holder, or (`if_over`) it was renewed meanwhile."""
        of = self._keys.holder(holder)
        names = self._broker.run(self._scripts.condemn(of, if_over=if_over))
        if names == Code.LOST:
            return None
        in_flight = self._requeue(of, [name.decode() for name in names], cause)
        while self._broker.run(self._limits.free_slots_of(of)) == 1:
            continue
        while self._broker.run(self._scripts.close_grave(of)) == 1:
            continue
        self._nudge()
        return in_flight

    def _requeue(self, of: HolderKeys, names: Sequence[str], cause: Burial) -> list[ReservedJob]:
        queues = [self._keys.queue(name) for name in names]
        in_flight: list[ReservedJob] = []
        more = bool(names)
        while more:
            reply: Reply = self._broker.run(self._scripts.bury(of, queues, cause))
            if reply == Code.LOST:  # another process has finished this
                break
            more, *parts = reply
            for job_id, queue, state, payload in zip(*[iter(parts)] * 4, strict=True):
                job = ReservedJob(job_id.decode(), queue.decode(), payload)
                restore(job, state.decode())
                in_flight.append(job)
        return in_flight

    def _nudge(self) -> None:
        """Let some idle worker look after what the dead one may have been woken for."""
        [names] = self._broker.ask(packed(b"SMEMBERS", self._keys.queues))
        queues = [self._keys.queue(name.decode()) for name in names]
        for start in range(0, len(queues), QUEUES_A_CALL):
            self._broker.run(self._scripts.nudge(queues[start : start + QUEUES_A_CALL]))

    def reap(self) -> tuple[int, float | None]:
        """Bury lapsed holders; return how many, and the seconds to the next expiry.

        Locks whose owner is gone are let go of, too.
        """
        pause, holders = self._broker.run(self._scripts.lapsed(self._lease * LONGEST_LEASES))
        buried = [self._bury(holder.decode(), Burial("lapsed"), if_over=True) for holder in holders]
        self._broker.run(self._scripts.sweep())
        self._broker.run(self._limits.rearm())
        self._broker.run(self._tied.errand())
        self._broker.run(self._tied.tidy())
        due = None if pause == b"-1" else int(pause) / 1000
        if len(holders) == MOST_LAPSED:
            due = 0.0
        return sum(jobs is not None for jobs in buried), due

    def orders(self, holder: str) -> RedisOrders:
        """Return what waits for the orders to a holder."""
        return RedisOrders(self._broker, self._keys.holder(holder))

    def payload(self, job_id: JobId) -> bytes | None:
        """Return the stored payload, None when the job is gone."""
        [payload] = self._broker.ask(packed(b"HGET", self._keys.payloads, bulk(job_id.encode())))
        found: bytes | None = payload
        return found

    def close(self) -> None:
        """Close the sockets."""
        self._broker.close()
