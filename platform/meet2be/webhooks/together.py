"""Many threads' small writes in one transaction: one thread writes for all that wait.

With many deliveries under way at once each would pay for a commit of its own. Here a thread hands
in what it wants written and waits; what has come together meanwhile is written in one go. The
thread that writes is nobody's job, so that no job's time-out can end it half-way.

A transaction costs more than what it writes (on SQLite 1.3 ms of the processor's time, and 0.25 ms
for each delivery in it), so where many write the next one begins no sooner than `PACE` after the
last one began: whoever comes alone waits no longer than that, and only behind several.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from meet2be.integrations.switchboard import Then
from onqueue.clock import SystemClock
from onqueue.contracts import Clock

Item = TypeVar("Item")
Result = TypeVar("Result")
log = logging.getLogger("meet2be.webhooks")
MOST: Final = 128
IDLE: Final = 5.0
"""Seconds without work after which the thread ends; the next item begins another one."""
PACE: Final = 0.005
"""Seconds from the beginning of one batch to that of the next, while several come at once."""


class _Entry(Generic[Item, Result]):
    __slots__ = ("error", "item", "result", "then")

    def __init__(self, item: Item, then: Then[Result]) -> None:
        self.item, self.then = item, then
        self.result: Result | None = None
        self.error: Exception | None = None


class Together(Generic[Item, Result]):
    """Calls `act` with all items that are waiting; safe to be used by many threads."""

    def __init__(
        self, act: Callable[[Sequence[Item]], Sequence[Result]], clock: Clock | None = None
    ) -> None:
        """Let ``act`` return one result for each item, in order, or raise with nothing done."""
        self._act = act
        self._clock = clock or SystemClock()
        self._handed_in = threading.Condition(threading.Lock())
        self._waiting: list[_Entry[Item, Result]] = []
        self._is_working = self._is_asleep = False

    def do(self, item: Item) -> Result:
        """Return the item's result; raises what `act` raised for it."""
        came: list[tuple[Result | None, Exception | None]] = []
        is_over = threading.Lock()  # the leanest thing that one thread opens for another
        is_over.acquire()

        def hear(result: Result | None, error: Exception | None) -> None:
            came.append((result, error))
            is_over.release()

        self.begin(item, hear)
        is_over.acquire()
        result, error = came[0]
        if error is not None:
            raise error
        return result  # type: ignore[return-value]

    def begin(self, item: Item, then: Then[Result]) -> None:
        """Have the thread that writes call ``then`` once the item is written, or was refused."""
        with self._handed_in:
            self._waiting.append(_Entry(item, then))
            if self._is_asleep:
                self._is_asleep = False
                self._handed_in.notify()
            elif not self._is_working:
                # A daemon: whoever waits for it is a job, and the process ends when those have.
                threading.Thread(target=self._work, name="together", daemon=True).start()
                self._is_working = True

    def _work(self) -> None:
        while batch := self._next():
            began = self._clock.monotonic()
            self._write(batch)
            for entry in batch:
                self._tell(entry)
            left = began + PACE - self._clock.monotonic()
            if len(batch) > 1 and left > 0:
                self._clock.sleep(left)

    @staticmethod
    def _tell(entry: _Entry[Item, Result]) -> None:
        try:
            entry.then(entry.result, entry.error)
        except Exception:
            log.exception("whoever had something written could not hear of it")

    def _next(self) -> list[_Entry[Item, Result]]:
        """Return what is to be written now; nothing when the thread shall end."""
        with self._handed_in:
            if not self._waiting:
                self._is_asleep = True
                self._handed_in.wait(IDLE)
                self._is_asleep = False
            batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            self._is_working = bool(batch)
            return batch

    def _write(self, batch: Sequence[_Entry[Item, Result]]) -> None:
        try:
            for entry, result in zip(
                batch, self._act([entry.item for entry in batch]), strict=True
            ):
                entry.result = result
        except Exception as error:  # noqa: BLE001 -- each thread raises its own
            if len(batch) == 1:
                batch[0].error = error
            else:  # one item must not take others with it
                for entry in batch:
                    self._write([entry])
