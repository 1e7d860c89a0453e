"""What the child's and the parent's side share: giving jobs back, reading stored counters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onqueue.drivers.redis.keys import bulk
from onqueue.drivers.redis.scripts import Code
from onqueue.drivers.redis.wire import Reply, packed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onqueue.contracts import ReservedJob
    from onqueue.drivers.redis.keys import HolderKeys
    from onqueue.drivers.redis.scripts import Call, Scripts

CHUNK = 100


def give_back(
    ask: Callable[[bytes], Reply],
    run: Callable[[Call], Reply],
    scripts: Scripts,
    of: HolderKeys,
    ids: Sequence[bytes],
) -> list[bytes]:
    """Return those of the ids that had not started and went back to the front of their queues."""
    given: list[bytes] = []
    # The last come first, so that each next chunk lands in front of them.
    for start in range((len(ids) - 1) // CHUNK * CHUNK, -1, -CHUNK) if ids else ():
        chunk = ids[start : start + CHUNK]
        queues = ask(packed(b"HMGET", of.held, *map(bulk, chunk)))
        for queue in set(queues) - {None}:
            part = [job_id for job_id, at in zip(chunk, queues, strict=True) if at == queue]
            reply = run(scripts.give_back(of, scripts.keys.queue(queue.decode()), part))
            given += [] if reply == Code.LOST else reply
    return given


def restore(job: ReservedJob, state: str) -> None:
    """Set a job's counters from the stored "attempts exceptions deaths doom"."""
    if state:
        attempts, exceptions, deaths, *doom = state.split(" ")
        job.attempts, job.exceptions, job.deaths = int(attempts), int(exceptions), int(deaths)
        job.doom = "".join(doom)
