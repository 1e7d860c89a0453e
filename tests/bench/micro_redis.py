"""Measures the Redis driver against bare Redis on one server: `python tests/bench/micro_redis.py`.

Prints the rows of the queue core's speed table that the driver alone decides: no job classes and no
worker loop are in it. Each pair runs in turn, several rounds; the median round counts.
"""

from __future__ import annotations

import argparse
import os
import secrets
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT / "tests")]

import redis  # noqa: E402 - the path comes first

from onqueue.clock import SystemClock  # noqa: E402
from onqueue.config import connection_config  # noqa: E402
from onqueue.contracts import Message  # noqa: E402
from onqueue.drivers.redis import RedisQueue  # noqa: E402
from support.servers import private_valkey  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

PAYLOAD = b'{"v":1,"job":"Resize","at":1763778000000,"data":{"path":"a.png","width":800}}'
FLOOR = """
local ids = redis.call('LPOP', KEYS[1], ARGV[1])
if not ids then return {} end
for _, id in ipairs(ids) do redis.call('ZADD', KEYS[2], 1, id) end
local bodies = redis.call('HMGET', KEYS[3], unpack(ids))
redis.call('ZREM', KEYS[2], unpack(ids))
redis.call('HDEL', KEYS[3], unpack(ids))
return bodies
"""
_clock = SystemClock()


@dataclass
class Bench:
    """One server, the driver on it and a bare client."""

    client: redis.Redis
    queue: RedisQueue

    def empty(self) -> None:
        """Start from nothing."""
        self.client.flushall()

    def timed(self, act: Callable[[], None]) -> float:
        """Return the seconds `act` takes."""
        began = _clock.monotonic()
        act()
        return _clock.monotonic() - began

    # ---- dispatching ----

    def bare_push(self, count: int) -> float:
        """Seconds a job of a redis-py LPUSH loop."""
        self.empty()

        def act() -> None:
            for _ in range(count):
                self.client.lpush("bare", PAYLOAD)

        return self.timed(act) / count

    def push(self, count: int) -> float:
        """Seconds a job, pushed one by one."""
        self.empty()
        messages = _messages(count)

        def act() -> None:
            for message in messages:
                self.queue.push(message)

        return self.timed(act) / count

    def bare_many(self, count: int) -> float:
        """Seconds a job of pipelined LPUSH, 100 a pipeline."""
        self.empty()

        def act() -> None:
            for _ in range(count // 100):
                pipeline = self.client.pipeline(transaction=False)
                for _ in range(100):
                    pipeline.lpush("bare", PAYLOAD)
                pipeline.execute()

        return self.timed(act) / count

    def push_many(self, count: int) -> float:
        """Seconds a job of `push_many`, a thousand a trip."""
        self.empty()
        messages = _messages(count)

        def act() -> None:
            self.queue.push_many(messages)

        return self.timed(act) / count

    # ---- working ----

    def floor(self, count: int) -> float:
        """Seconds a job of the raw floor: one Lua call pops, reserves and acks 100."""
        self.empty()
        script = self.client.register_script(FLOOR)
        for start in range(0, count, 1000):
            ids = [secrets.token_hex(16) for _ in range(min(1000, count - start))]
            self.client.rpush("ids", *ids)
            self.client.hset("bodies", mapping=dict.fromkeys(ids, PAYLOAD))

        def act() -> None:
            while script(["ids", "reserved", "bodies"], [100]):
                continue

        return self.timed(act) / count

    def loop(self, count: int, want: int = 100, *, waiting: int = 0) -> float:
        """Seconds a job of a worker's loop: mark each start, confirm with the next turn."""
        self.empty()
        self.fill(count + waiting)
        leases = self.queue.leases()
        consumer = self.queue.consumer(leases.open(), ["default"])

        def act() -> None:
            done: list[str] = []
            left = count
            while left > 0:
                jobs = consumer.turn(min(want, left), done).jobs
                done, previous = [], None
                for job in jobs:
                    consumer.mark(previous, job.id)
                    previous = job.id
                    done.append(job.id)
                left -= len(jobs)
            consumer.turn(0, done)

        seconds = self.timed(act) / count
        consumer.close()
        leases.close()
        return seconds

    def fill(self, count: int) -> None:
        """Push so many jobs."""
        for start in range(0, count, 10_000):
            self.queue.push_many(_messages(min(10_000, count - start)))

    # ---- waiting ----

    def lateness(self, rounds: int) -> list[float]:
        """Seconds that a delayed job comes too late to an idle consumer."""
        self.empty()
        leases = self.queue.leases()
        consumer = self.queue.consumer(leases.open(), ["default"])
        reader, writer = os.pipe()
        late = []
        for _ in range(rounds):
            delay = 0.02 + secrets.randbelow(60) / 1000
            due = _clock.monotonic() + delay
            self.queue.push(Message(secrets.token_hex(16), "default", PAYLOAD, delay=delay))
            done: list[str] = []
            while not done:
                turn = consumer.turn(1, [])
                done = [job.id for job in turn.jobs]
                if not done:
                    consumer.wait(5.0 if turn.next_due is None else turn.next_due, reader)
            late.append(_clock.monotonic() - due)
            consumer.turn(0, done)
        consumer.close()
        leases.close()
        os.close(reader)
        os.close(writer)
        return late

    def bytes_a_job(self, count: int) -> float:
        """Bytes of broker memory a waiting job takes beyond its payload."""
        self.empty()
        before = self.client.info("memory")["used_memory"]
        self.fill(count)
        used = self.client.info("memory")["used_memory"] - before
        return float(used / count - len(PAYLOAD))


def _messages(count: int) -> list[Message]:
    return [Message(secrets.token_hex(16), "default", PAYLOAD) for _ in range(count)]


def _ratio(name: str, bare: Callable[[], float], ours: Callable[[], float], need: float) -> str:
    pairs = [(bare(), ours()) for _ in range(5)]
    ratio = statistics.median(theirs / own for theirs, own in pairs)
    floor, own = (statistics.median(side) * 1e6 for side in zip(*pairs, strict=True))
    met = "met" if ratio >= need else "MISSED"
    figures = f"bare {floor:7.1f} µs  ours {own:7.1f} µs  ratio {ratio:5.2f} (≥ {need})  {met}"
    return f"{name:44} {figures}"


def _rows(bench: Bench, count: int, most_waiting: int) -> Any:
    yield _ratio(
        "dispatch, one by one",
        lambda: bench.bare_push(count // 10),
        lambda: bench.push(count // 10),
        0.7,
    )
    yield _ratio(
        "push_many against pipelined LPUSH",
        lambda: bench.bare_many(count),
        lambda: bench.push_many(count),
        0.4,
    )
    yield _ratio(
        "worker loop (100 a turn) against the floor",
        lambda: bench.floor(count),
        lambda: bench.loop(count),
        0.25,
    )
    late = sorted(bench.lateness(300))
    p50, p99 = late[len(late) // 2] * 1e3, late[len(late) * 99 // 100] * 1e3
    lateness = "lateness of a delayed job, idle consumer"
    yield f"{lateness:44} p50 {p50:.1f} ms  p99 {p99:.1f} ms (≤ 15)"
    extra = bench.bytes_a_job(count)
    yield f"{'broker memory a waiting job':44} payload + {extra:.0f} bytes (≤ 200)"
    costs = [
        statistics.median(bench.loop(count // 4, waiting=waiting) for _ in range(3)) * 1e6
        for waiting in (10, 10_000, most_waiting)
    ]
    texts = ", ".join(f"{cost:.1f}" for cost in costs)
    yield f"{f'µs a job with 10, 10,000, {most_waiting:,} waiting':44} {texts}"


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=20_000, help="jobs a round")
    options.add_argument("--waiting", type=int, default=1_000_000, help="most jobs waiting")
    given = options.parse_args()
    with private_valkey(appendfsync="no") as server:
        settings = {"driver": "redis", "url": server.url, "deadline": 30}
        queue = RedisQueue(connection_config("redis", settings))
        bench = Bench(redis.Redis.from_url(server.url), queue)
        for row in _rows(bench, given.count, given.waiting):
            sys.stdout.write(f"{row}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
