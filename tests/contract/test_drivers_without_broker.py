"""The drivers that keep nothing, held against the contract of all drivers."""

from typing import Any

import pytest

from onqueue.config import connection_config
from onqueue.contracts import Message
from onqueue.drivers.null import NullQueue
from onqueue.drivers.sync import End, SyncQueue
from onqueue.testing.driver_contract import DriverContract, MakeQueue


class TestNullDriver(DriverContract):
    @pytest.fixture
    def make_queue(self) -> MakeQueue:
        return lambda **more: NullQueue(connection_config("null", {"driver": "null", **more}))


class TestSyncDriver(DriverContract):
    @pytest.fixture
    def ran(self) -> list[tuple[str, Message]]:
        return []

    @pytest.fixture
    def make_queue(self, ran: list[Any]) -> MakeQueue:
        def make(**more: Any) -> SyncQueue:
            def run(connection: str, message: Message, **_: object) -> End:
                ran.append((connection, message))
                return End()

            return SyncQueue(connection_config("sync", {"driver": "sync", **more}), run=run)

        return make

    def test_a_pushed_job_has_run(
        self, make_queue: MakeQueue, ran: list[tuple[str, Message]]
    ) -> None:
        sent = Message("1" * 32, "default", b"{}")
        make_queue().push(sent)
        assert ran == [("sync", sent)]
