"""The driver for Redis and Valkey keeps the contract of all drivers."""

from collections.abc import Iterator
from typing import Any

import pytest

from onqueue.config import connection_config
from onqueue.drivers.redis import RedisQueue
from onqueue.testing.driver_contract import MakeQueue
from onqueue.testing.work_contract import WorkContract


class TestRedisDriver(WorkContract):
    """On a private Valkey."""

    @pytest.fixture
    def make_queue(self, redis_url: str) -> Iterator[MakeQueue]:
        """Queues of one connection, closed at the end."""
        made: list[RedisQueue] = []

        def make(**settings: Any) -> RedisQueue:
            given = {"driver": "redis", "url": redis_url, **settings}
            made.append(RedisQueue(connection_config("redis", given)))
            return made[-1]

        yield make
        for queue in made:
            queue.close()
