"""What belongs to another connection is taken there, or stays until it can be."""

from dataclasses import replace
from typing import Any

import pytest

from onqueue.bus.carrying import Carrier
from onqueue.connections import QueueManager
from onqueue.contracts import ONCE_WINDOW, Message
from onqueue.plans import ChainPlan
from support.broker_double import BrokerDouble


class Keeper(BrokerDouble):
    """Has parcels for others, and takes chains."""

    def __init__(self, config: Any) -> None:
        super().__init__(config.name, config)
        self.supports |= {"chains"}
        self.parcels: list[Message | ChainPlan] = []
        self.chains: list[ChainPlan] = []

    def transfers(self, limit: int) -> list[Message | ChainPlan]:
        self._answer()
        return self.parcels[:limit]

    def carried(self, taken: list[Message | ChainPlan]) -> None:
        self.parcels = [one for one in self.parcels if one not in taken]

    def start_chain(self, plan: ChainPlan) -> bool:
        self._answer()
        self.chains.append(plan)
        return True


def keeper(config: Any, clock: Any) -> Keeper:
    """Make one for a manager."""
    return Keeper(config)


@pytest.fixture
def manager() -> QueueManager:
    driver = f"{__name__}:keeper"
    plain = "support.broker_double:broker_double"
    connections = {
        "here": {"driver": driver},
        "there": {"driver": driver},
        "dull": {"driver": plain},
    }
    return QueueManager("here", connections)


def of(manager: QueueManager, name: str) -> Keeper:
    """Return one of the connections."""
    queue = manager.connection(name)
    assert isinstance(queue, Keeper)
    return queue


JOB = Message("1" * 32, "q", b"{}", once=ONCE_WINDOW, token="t", connection="there")
CHAIN = ChainPlan("c" * 32, [replace(JOB, id="2" * 32)], token="t")


def test_jobs_are_pushed_and_chains_are_started_where_they_belong(manager: QueueManager) -> None:
    here, there = of(manager, "here"), of(manager, "there")
    here.parcels = [JOB, CHAIN]
    assert Carrier(manager, "here").carry() == 2
    assert (here.parcels, there.chains) == ([], [CHAIN])
    assert list(there.waiting) == [JOB.id]
    assert Carrier(manager, "here").carry() == 0


def test_what_cannot_arrive_stays_and_holds_up_nothing_else(manager: QueueManager) -> None:
    here, there = of(manager, "here"), of(manager, "there")
    lost = replace(JOB, id="3" * 32, connection="gone")
    dull = replace(CHAIN, id="d" * 32, links=[replace(JOB, connection="dull")])
    there.away = True
    here.parcels = [JOB, lost, dull]
    assert Carrier(manager, "here").carry() == 0
    there.away = False
    assert Carrier(manager, "here").carry() == 1
    assert here.parcels == [lost, dull]


def test_a_push_that_is_repeated_changes_nothing(manager: QueueManager) -> None:
    here, there = of(manager, "here"), of(manager, "there")
    for _ in range(2):
        here.parcels = [JOB]
        Carrier(manager, "here").carry()
    assert len(there.pushed) == 1


def test_a_connection_without_chains_has_nothing_to_carry(manager: QueueManager) -> None:
    assert Carrier(manager, "dull").carry() == 0
