"""A Redis connection whose workers die at a chosen step: for crash tests, used by nothing else.

A test's application names `onqueue.testing.failpoints:FailingQueue` as its driver and says in
`options` where to strike: `point` ("turn:after", "renew:before", …), `nth` (the first is 1),
`victim` ("child", "parent" or "group") and `marker`, a file made at the strike, so that it comes
only once.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, cast

from onqueue.drivers.redis.queue import RedisQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from onqueue.drivers.redis.consumer import RedisConsumer
    from onqueue.drivers.redis.leases import RedisLeases
    from onqueue.drivers.redis.schedules import RedisSchedules


class Failpoint:
    """Counts how often one step is passed, and kills at the one asked for."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Read the options."""
        self._point: str = options["point"]
        self._left: int = options.get("nth", 1)
        self._victim: str = options["victim"]
        self._marker: str = options["marker"]

    def passed(self, point: str) -> None:
        """Note that a step was reached; kills when it is the one."""
        if point != self._point:
            return
        self._left -= 1
        if self._left == 0 and self._is_first():
            self._strike()

    def _is_first(self) -> bool:
        try:
            os.close(os.open(self._marker, os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            return False
        return True

    def _strike(self) -> None:
        match self._victim:
            case "group":
                os.killpg(0, signal.SIGKILL)
            case "parent" if os.getpid() != os.getpgrp():
                os.kill(os.getppid(), signal.SIGKILL)
                signal.pause()
            case _:
                os.kill(os.getpid(), signal.SIGKILL)


class Wired:
    """Passes every call on, reporting it before and after."""

    def __init__(self, target: object, passed: Callable[[str], None]) -> None:
        """Stand in for the target."""
        self._target = target
        self._passed = passed

    def __getattr__(self, name: str) -> Any:
        """Return the target's attribute; a method comes wired."""
        found = getattr(self._target, name)
        if not callable(found):
            return found

        def call(*args: Any, **named: Any) -> Any:
            self._passed(f"{name}:before")
            answer = found(*args, **named)
            self._passed(f"{name}:after")
            return answer

        return call


class FailingQueue(RedisQueue):
    """A connection whose workers' sides are wired to one failpoint."""

    def consumer(self, holder: str, queues: Sequence[str], *, force: bool = False) -> RedisConsumer:
        """Return the child's side, wired."""
        consumer = super().consumer(holder, queues, force=force)
        wired = Wired(consumer, Failpoint(self.config.options).passed)
        return cast("RedisConsumer", wired)

    def leases(self) -> RedisLeases:
        """Return the parent's side, wired."""
        wired = Wired(super().leases(), Failpoint(self.config.options).passed)
        return cast("RedisLeases", wired)

    def schedules(self) -> RedisSchedules:
        """Return the store of a schedule, wired."""
        wired = Wired(super().schedules(), Failpoint(self.config.options).passed)
        return cast("RedisSchedules", wired)
