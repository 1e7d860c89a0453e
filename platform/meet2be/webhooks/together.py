"""Many threads' small writes in one transaction: whoever comes first writes for all that wait.

With many deliveries under way at once each would pay for a commit of its own. Here a thread hands
in what it wants written; one of the waiting threads writes all that has come together.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
MOST: Final = 128


class _Entry(Generic[Item, Result]):
    __slots__ = ("error", "is_done", "item", "result")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.result: Result | None = None
        self.error: Exception | None = None
        self.is_done = False


class Together(Generic[Item, Result]):
    """Calls `act` with all items that are waiting; safe to be used by many threads."""

    def __init__(self, act: Callable[[Sequence[Item]], Sequence[Result]]) -> None:
        """Let ``act`` return one result for each item, in order, or raise with nothing done."""
        self._act = act
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._waiting: list[_Entry[Item, Result]] = []

    def do(self, item: Item) -> Result:
        """Return the item's result; raises what `act` raised for it."""
        entry: _Entry[Item, Result] = _Entry(item)
        with self._lock:
            self._waiting.append(entry)
        with self._turn:
            if not entry.is_done:
                with self._lock:
                    batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                self._write(batch)
                if not entry.is_done:  # more were waiting than go into one batch
                    self._write([entry])
                    with self._lock:
                        self._waiting.remove(entry)
        if entry.error is not None:
            raise entry.error
        return entry.result  # type: ignore[return-value]

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
        for entry in batch:
            entry.is_done = True
