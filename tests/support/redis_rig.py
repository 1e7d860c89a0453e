"""A Redis connection with the worker's sides, and what tests look at in its server."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import redis

from onqueue.config import connection_config
from onqueue.contracts import Message, ReservedJob
from onqueue.drivers.redis import RedisQueue
from onqueue.drivers.redis.consumer import RedisConsumer
from onqueue.drivers.redis.leases import RedisLeases
from onqueue.quotas import Quota
from onqueue.testing.driver_contract import MakeQueue


def message(queue: str = "default", payload: bytes = b"{}", **more: Any) -> Message:
    """Return a message with an id of its own."""
    return Message(secrets.token_hex(16), queue, payload, **more)


@dataclass
class Rig:
    """One connection on a server, with a client that looks at the server itself."""

    url: str
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the connection; nothing connects before it is used."""
        given = {"driver": "redis", "url": self.url, "lease": 30.0, **self.settings}
        self.queue = RedisQueue(connection_config("redis", given))
        self.leases: RedisLeases = self.queue.leases()
        self.client = redis.Redis.from_url(self.url)
        self._consumers: list[RedisConsumer] = []

    def consumer(self, *queues: str, holder: str | None = None) -> RedisConsumer:
        """Return a consumer, under a new holder unless one is given."""
        made = self.queue.consumer(holder or self.leases.open(), queues or ("default",))
        self._consumers.append(made)
        return made

    def push(self, count: int = 1, queue: str = "default", **more: Any) -> list[str]:
        """Push so many jobs and return their ids."""
        sent = [message(queue, **more) for _ in range(count)]
        assert self.queue.push_many(sent) == count
        return [one.id for one in sent]

    def start(self, consumer: RedisConsumer) -> ReservedJob:
        """Push a job, reserve it and mark it as started."""
        self.push()
        (job,) = consumer.turn(1, []).jobs
        consumer.mark(None, job.id)
        self.arrive(consumer)
        return job

    @staticmethod
    def arrive(consumer: RedisConsumer) -> None:
        """Return when the consumer's marks have arrived: an answered trip on its line has ended."""
        consumer.give_back(["0" * 32])

    def dump(self) -> dict[bytes, object]:
        """Return every key with its value, leaving out what only remembers dispatchers."""
        return {
            key: _value(self.client, key)
            for key in sorted(self.client.scan_iter(count=1000))
            if b":pusher:" not in key
        }

    def close(self) -> None:
        """Close all sockets."""
        for consumer in self._consumers:
            consumer.close()
        self.leases.close()
        self.queue.close()
        self.client.close()


def _value(client: redis.Redis, key: bytes) -> object:
    match client.type(key):
        case b"hash":
            return client.hgetall(key)
        case b"list":
            return client.lrange(key, 0, -1)
        case b"set":
            return client.smembers(key)
        case b"zset":
            return client.zrange(key, 0, -1, withscores=True)
        case _:
            return client.get(key)


@contextmanager
def rig(url: str, **settings: Any) -> Iterator[Rig]:
    """Yield a rig, closed afterwards."""
    made = Rig(url, settings)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """Yield the two ends of a pipe."""
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


@contextmanager
def redis_queues(url: str) -> Iterator[MakeQueue]:
    """Yield what makes queues, of one connection unless named; they are closed afterwards."""
    made: list[RedisQueue] = []

    def make(name: str = "redis", **settings: Any) -> RedisQueue:
        given = {"driver": "redis", "url": url, **settings}
        made.append(RedisQueue(connection_config(name, given)))
        return made[-1]

    try:
        yield make
    finally:
        for queue in made:
            queue.close()


def admit(consumer: RedisConsumer, job: ReservedJob, *quotas: Quota) -> float | None:
    """Ask as a middleware does."""
    return consumer.limits().admit(quotas, job.id, job.queue)


def meet(consumer: RedisConsumer, job: ReservedJob, *quotas: Quota) -> bool:
    """Let the job through, or let it wait; return whether it went on."""
    consumer.mark(None, job.id)
    if admit(consumer, job, *quotas) is None:
        return True
    consumer.wait_turn(job, quotas)
    return False
