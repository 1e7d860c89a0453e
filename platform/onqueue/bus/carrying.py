"""Takes what waits for another connection there: links of chains, and callbacks."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, cast

from onqueue.errors import BrokerUnavailable, OnQueueError, UnsupportedByDriver
from onqueue.plans import ChainPlan
from onqueue.pushing import push_all

if TYPE_CHECKING:
    from onqueue.connections import QueueManager
    from onqueue.contracts import ChainingQueue, Message, Queue

log = logging.getLogger("onqueue.bus")

AT_ONCE = 100


class Carrier:
    """Carries from one connection. Any number may: each parcel arrives once, whoever dies."""

    def __init__(self, manager: QueueManager, connection: str) -> None:
        """Carry from this connection to the manager's others."""
        self._manager = manager
        self._connection = connection

    def carry(self) -> int:
        """Take along what waits; return how much arrived. What cannot arrive now stays."""
        source = self._manager.connection(self._connection)
        if "chains" not in source.supports:
            return 0
        keeper = cast("ChainingQueue", source)
        arrived = [one for one in keeper.transfers(AT_ONCE) if self._arrives(one)]
        if arrived:
            keeper.carried(arrived)
        return len(arrived)

    def _arrives(self, parcel: Message | ChainPlan) -> bool:
        try:
            self._take(parcel)
        except BrokerUnavailable as error:
            log.warning("%s waits for its connection: %s", parcel.id, error)
        except OnQueueError:
            log.exception("%s cannot be taken to its connection", parcel.id)
        else:
            return True
        return False

    def _take(self, parcel: Message | ChainPlan) -> None:
        if isinstance(parcel, ChainPlan):
            target = self._manager.connection(parcel.links[0].connection)
            _need_chains(target)
            cast("ChainingQueue", target).start_chain(parcel)
            return
        push_all(self._manager.connection(parcel.connection), [parcel])


def _need_chains(target: Queue) -> None:
    if "chains" not in target.supports:
        raise UnsupportedByDriver("chain", target.name, target.config.driver, "its next link")
