"""Times dispatching against bare redis-py in one process: `python -m bench.pushing --rounds 5`.

Blocks of both sides follow each other, on clients with the same options.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

_BLOCK = 500
_PIPELINE = 100
_options = {"protocol": 2, "socket_timeout": 5.0, "socket_connect_timeout": 5.0}


def _timed(act: Callable[[], None], jobs: int) -> float:
    began = monotonic()
    act()
    return (monotonic() - began) / jobs


def _pairs(app: Any, client: Any, payload: bytes, blocks: int) -> dict[str, list[list[float]]]:
    """Return seconds a job, bare and ours, block by block."""
    bulk = _BLOCK * 10

    def bare() -> None:
        for _ in range(_BLOCK):
            client.lpush("bare", payload)

    def bare_many() -> None:
        for _ in range(bulk // _PIPELINE):
            pipeline = client.pipeline(transaction=False)
            for _ in range(_PIPELINE):
                pipeline.lpush("bare", payload)
            pipeline.execute()

    def ours() -> None:
        for number in range(_BLOCK):
            app.send(number)

    def ours_many() -> None:
        app.fill(0, bulk)

    one, many = [], []
    for _ in range(blocks):
        one.append([_timed(bare, _BLOCK), _timed(ours, _BLOCK)])
        many.append([_timed(bare_many, bulk), _timed(ours_many, bulk)])
        client.delete("bare")
    return {"one": one[1:], "many": many[1:]}


def main() -> None:
    """Write the figures to a file; the first block only warms up."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--blocks", type=int, required=True)
    options.add_argument("--to", type=Path, required=True)
    options.add_argument("--pure", action="store_true", help="parse replies without hiredis")
    given = options.parse_args()
    if given.pure:
        sys.modules["hiredis"] = None  # type: ignore[assignment]
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    app = importlib.import_module("bench.peers.onqueue_app")
    floor = importlib.import_module("bench.floor")
    client = Redis.from_url(app.given.url, retry=Retry(NoBackoff(), 0), **_options)
    given.to.write_text(json.dumps(_pairs(app, client, floor.PAYLOAD, given.blocks + 1)))


if __name__ == "__main__":
    main()
