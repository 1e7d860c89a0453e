"""The child of a worker: a fork that runs jobs, obeys its parent, and never outlives it."""

from __future__ import annotations

import logging
import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from onqueue import events
from onqueue.worker.outfit import Outfit
from onqueue.worker.processes import die_with, keep_to
from onqueue.worker.shared import Exit, Phase
from onqueue.worker.stopping import StopReason

if TYPE_CHECKING:
    from onqueue.connections import QueueManager
    from onqueue.contracts import Clock
    from onqueue.worker.errand import Errand
    from onqueue.worker.shared import Shared

log = logging.getLogger("onqueue.worker")


class Lifeline:
    """What the jobs of a child may ask about it, answered from the shared memory."""

    def __init__(self, holder: str, shared: Shared, clock: Clock) -> None:
        """Know whose lease it is."""
        self.holder = holder
        self._shared = shared
        self._clock = clock

    def holds_lease(self) -> bool:
        """Tell whether the parent vouches for the lease at this moment."""
        return self._clock.monotonic() < self._shared.vouched_until

    def should_stop(self) -> bool:
        """Tell whether the parent wants the worker to end."""
        return self._shared.should_stop


def fork_child(manager: QueueManager, errand: Errand, shared: Shared, notices: int) -> int:
    """Start a child and return its process id; raises `OSError` when there can be none."""
    parent = os.getpid()
    _flush()
    pid = os.fork()
    if pid:
        return pid
    try:
        die_with(parent)
        how = _work(manager, errand, shared, notices)
        shared.leave(how)
    except BaseException:
        log.critical("the worker's own code failed", exc_info=True)
        shared.leave(Exit.FAULT)
    finally:
        _flush()
        os._exit(0)


def _flush() -> None:
    """Write out what was printed; a stream that is closed, or that nobody reads, is no matter."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()


def _work(manager: QueueManager, errand: Errand, shared: Shared, notices: int) -> Exit:
    core = errand.options.kept_core
    if core is not None:
        keep_to(core)
    lifeline = Lifeline(errand.holder, shared, manager.clock)
    outfit = Outfit(manager, errand, shared, lifeline, notices)
    manager.close()
    _start_watchdog(shared, manager.clock)
    starting = events.WorkerStarting(errand.connection, errand.queues, os.getpid())
    events.tell(events.worker_starting, starting)
    shared.slots[0].enter(Phase.WORKING)
    if errand.only:
        how, reason = outfit.loop().settle_only(errand.only)
    elif errand.options.concurrency == 1:
        how, reason = outfit.loop().run()
    else:
        how, reason = outfit.crew().run()
    if reason is not None:
        shared.leave_for(list(StopReason).index(reason))
    return how


def _start_watchdog(shared: Shared, clock: Clock) -> None:
    """End the process once nobody vouches for its lease any more, whatever it is doing."""

    def watch() -> None:
        while (left := shared.vouched_until - clock.monotonic()) > 0:
            clock.sleep(left)
        shared.leave(Exit.LEASE_LOST)
        os._exit(1)

    threading.Thread(target=watch, name="onqueue-watchdog", daemon=True).start()
