"""The raw floor: what the server itself takes to hand out jobs, with next to no client."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any

from bench.server import Server
from onqueue.clock import SystemClock

PAYLOAD = b'{"v":1,"job":"Noop","at":1763778000000,"data":{"number":10000}}'
_SCRIPT = """
local ids = redis.call('LPOP', KEYS[1], ARGV[1])
if not ids then return {} end
for _, id in ipairs(ids) do redis.call('ZADD', KEYS[2], 1, id) end
local bodies = redis.call('HMGET', KEYS[3], unpack(ids))
redis.call('ZREM', KEYS[2], unpack(ids))
redis.call('HDEL', KEYS[3], unpack(ids))
return bodies
"""
_A_CALL = 100
_clock = SystemClock()


def floor_rate(server: Server, jobs: int) -> float:
    """Return jobs a second when one Lua call pops, reserves and acks a hundred."""
    server.empty()
    for start in range(0, jobs, 1000):
        ids = [secrets.token_hex(16) for _ in range(min(1000, jobs - start))]
        server.client.rpush("ids", *ids)
        server.client.hset("bodies", mapping=dict.fromkeys(ids, PAYLOAD))
    script: Callable[[Sequence[str], Sequence[int]], Any]
    script = server.client.register_script(_SCRIPT)
    began = _clock.monotonic()
    taken = 0
    while bodies := script(["ids", "reserved", "bodies"], [_A_CALL]):
        taken += len(bodies)
    seconds = _clock.monotonic() - began
    if taken != jobs:
        raise AssertionError(f"The floor handed out {taken} of {jobs} jobs.")
    return jobs / seconds
