"""Keeps a lease alive while something takes its time."""

from __future__ import annotations

import logging
from threading import Event, Thread
from typing import TYPE_CHECKING

from onqueue.errors import BrokerError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

log = logging.getLogger("onqueue.schedule")


class Heartbeat:
    """Calls `renew` every so many seconds while its block runs, from a thread of its own.

    It ends by itself when `renew` says that there is nothing to renew any more, and after
    `longest` seconds: a leader that hangs is to lose its place.
    """

    def __init__(self, renew: Callable[[], bool], every: float, longest: float) -> None:
        """Begin with the block."""
        self._renew = renew
        self._every = every
        self._most = int(longest / every)
        self._over = Event()
        self._thread = Thread(target=self._beat, name="onqueue-heartbeat", daemon=True)

    def __enter__(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Let the thread end, and wait for that."""
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        for _ in range(self._most):
            if self._over.wait(self._every):
                return
            try:
                if not self._renew():
                    return
            except BrokerError as error:
                log.warning("the lease could not be renewed: %s", error)
        log.error("a look at the schedule took over %.0f s", self._most * self._every)
