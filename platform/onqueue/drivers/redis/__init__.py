"""The driver for Redis (6.2 and newer) and Valkey."""

from onqueue.drivers.redis.queue import RedisQueue

__all__ = ["RedisQueue"]
