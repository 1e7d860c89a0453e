"""The driver for Redis and Valkey keeps the contract of all drivers, on new servers and on 6.2."""

from collections.abc import Iterator

import pytest
import redis

from onqueue.testing.batch_contract import BatchContract
from onqueue.testing.driver_contract import MakeQueue
from onqueue.testing.limit_contract import LimitContract
from support.redis_rig import redis_queues


class TestRedisDriver(BatchContract, LimitContract):
    """On a private Valkey."""

    @pytest.fixture
    def make_queue(self, redis_url: str) -> Iterator[MakeQueue]:
        with redis_queues(redis_url) as make:
            yield make


class TestRedisDriverOnTheOldestServer(BatchContract, LimitContract):
    """On a private Redis 6.2, which knows no flags of scripts."""

    @pytest.fixture
    def make_queue(self, oldest_url: str) -> Iterator[MakeQueue]:
        with redis.Redis.from_url(oldest_url) as client:
            assert client.info("server")["redis_version"].startswith("6.2.")
            client.flushall()
        with redis_queues(oldest_url) as make:
            yield make
