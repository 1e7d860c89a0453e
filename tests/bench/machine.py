"""What a run ran on: figures of different machines are not to be compared."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import redis

from bench.server import Server

_PACKAGES = ("dramatiq", "huey", "celery", "rq", "arq", "redis")


def describe_machine(server: Server, peers: Path, appendfsync: str) -> dict[str, str]:
    """Return the processor, the versions of everything and how the journal is written."""
    facts: Any = server.client.info("server")
    broker = facts.get("valkey_version") or facts["redis_version"]
    kind = "Valkey" if "valkey_version" in facts else "Redis"
    load = os.getloadavg()[0]
    return {
        "processor": f"{os.cpu_count()} × {_processor()}",
        "load before the run": f"{load:.1f} (other work on the cores blurs the ratios)",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "server": f"{kind} {broker} on a unix socket, appendfsync {appendfsync}",
        "onqueue's client": f"redis-py {redis.__version__} with hiredis",
        "the others": _versions(peers),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _versions(peers: Path) -> str:
    code = f"from importlib.metadata import version as v; print(*map(v, {_PACKAGES!r}))"
    done = subprocess.run(
        [str(peers / "bin" / "python"), "-c", code], capture_output=True, text=True, check=True
    )
    found = dict(zip(_PACKAGES, done.stdout.split(), strict=True))
    client = found.pop("redis")
    names = ", ".join(f"{name} {version}" for name, version in found.items())
    return f"{names} (redis-py {client} with hiredis)"
