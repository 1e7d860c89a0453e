"""arq: options `max_jobs` at a time and `poll_delay` seconds between its looks at the queue."""

from __future__ import annotations

import asyncio
from typing import Any

from arq import create_pool, func
from arq.connections import RedisSettings

from bench.given import read_given

given = read_given()
ledger = given.open_ledger()
_redis = RedisSettings(unix_socket_path=given.socket)
_CHUNK = 50
_loop = asyncio.new_event_loop()
_pool: Any = None


async def noop(context: dict[str, Any], number: int) -> None:
    """Run a job that does nothing."""
    del context
    ledger.note(number)


class WorkerSettings:
    """What the command `arq` reads."""

    functions = (func(noop, keep_result=0, max_tries=1),)
    redis_settings = _redis
    max_jobs = given.options.get("max_jobs", 10)
    poll_delay = given.options.get("poll_delay", 0.5)


async def _enqueue(first: int, last: int) -> None:
    global _pool  # noqa: PLW0603 - one connection for all jobs
    if _pool is None:
        _pool = await create_pool(_redis)
    for start in range(first, last, _CHUNK):
        numbers = range(start, min(start + _CHUNK, last))
        await asyncio.gather(*(_pool.enqueue_job("noop", number) for number in numbers))


def fill(first: int, last: int) -> None:
    """Enqueue the jobs first…last-1."""
    _loop.run_until_complete(_enqueue(first, last))


def send(number: int) -> None:
    """Enqueue one job."""
    fill(number, number + 1)
