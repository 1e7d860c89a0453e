"""The one private server of a run, with the product's settings, empty before each measurement."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis

from bench.processes import cpu_seconds
from meet2be.local.valkey import Fsync, ValkeyServer
from support.servers import private_valkey
from support.waiting import eventually


@dataclass(frozen=True)
class Server:
    """The server and a client on it, made as redis-py makes them."""

    process: ValkeyServer
    client: redis.Redis

    @property
    def socket(self) -> str:
        """Where it listens."""
        return str(self.process.socket)

    def empty(self) -> None:
        """Forget all data, and let the journal begin anew: its growth must not slow a later run."""
        self.client.flushall()
        self.client.bgrewriteaof()
        eventually(self._has_rewritten, within=60.0)

    def _has_rewritten(self) -> bool:
        facts: Any = self.client.info("persistence")
        return not (facts["aof_rewrite_in_progress"] or facts["aof_rewrite_scheduled"])

    def cpu(self) -> float:
        """Return the CPU seconds it has taken."""
        return cpu_seconds(self.process.pid or 0)

    def memory(self) -> int:
        """Return the bytes in use, the journal's buffer left out."""
        facts: Any = self.client.info("memory")
        return int(facts["used_memory"]) - int(facts["mem_aof_buffer"])


@contextmanager
def private_server(appendfsync: Fsync) -> Iterator[Server]:
    """Yield the server. It rewrites its journal only between measurements."""
    with private_valkey(appendfsync=appendfsync) as process:
        client = redis.Redis.from_url(process.url)
        client.config_set("auto-aof-rewrite-percentage", 0)
        try:
            yield Server(process, client)
        finally:
            client.close()
