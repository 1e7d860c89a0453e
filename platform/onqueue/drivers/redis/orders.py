"""Orders to a holder's parent: jobs it holds are to be cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onqueue.contracts import CancelOrder
from onqueue.drivers.redis.translation import GONE
from onqueue.drivers.redis.wire import packed

if TYPE_CHECKING:
    from onqueue.drivers.redis.keys import HolderKeys
    from onqueue.drivers.redis.wire import Broker

PATIENCE = b"$2\r\n20\r\n"
"""Seconds of one wait: a line that died without a word is noticed after them."""


class RedisOrders:
    """Waits for the orders to one holder, on a line of its own that a parent may poll."""

    def __init__(self, broker: Broker, of: HolderKeys) -> None:
        """Wait for nothing yet."""
        self._broker = broker
        self._line = broker.line()
        self._key = broker.keys.orders(of)
        self._is_waiting = False

    def fileno(self) -> int:
        """Return what becomes readable with the next order; raises `BrokerUnavailable`."""
        with self._broker.translating():
            try:
                if not self._is_waiting:
                    self._line.send(packed(b"BLPOP", self._key, PATIENCE))
                    self._is_waiting = True
                return self._line.fileno()
            except GONE:
                self.close()
                raise

    def take(self) -> CancelOrder | None:
        """Return the order that came, None when the wait was over; raises `BrokerUnavailable`."""
        with self._broker.translating():
            try:
                reply = self._line.receive()
            except GONE:
                self.close()
                raise
            self._is_waiting = False
        if reply is None:
            return None
        job_id, _, grace = reply[1].decode().partition(" ")
        return CancelOrder(job_id, float(grace))

    def close(self) -> None:
        """Close the line; the next use opens another."""
        self._is_waiting = False
        self._line.drop()
