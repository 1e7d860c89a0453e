"""Coroutines run to their end by code that is not async itself."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


def run_to_end(make: Callable[[], Awaitable[T]]) -> T:
    """Run what `make` returns on an event loop of its own and return its result.

    Where a loop runs in this thread already, another thread does it and this one waits.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_awaited(make))
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(copy_context().run, asyncio.run, _awaited(make)).result()


async def _awaited(make: Callable[[], Awaitable[T]]) -> T:
    return await make()


class EventLoop:
    """One event loop in a thread of its own, begun when it is first needed."""

    def __init__(self) -> None:
        """Begin nothing yet."""
        self._guard = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def get(self) -> asyncio.AbstractEventLoop:
        """Return the loop; it runs."""
        with self._guard:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="onqueue-event-loop", daemon=True
                )
                self._thread.start()
            return self._loop

    def close(self) -> None:
        """End the loop's thread; what still runs on it is dropped."""
        with self._guard:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


class Flight(Generic[T]):
    """One coroutine on the loop of another thread, which this one waits for."""

    def __init__(self, make: Callable[[], Awaitable[T]]) -> None:
        """Call `make` on the loop once the flight begins."""
        self._make = make
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_cancelled = False
        self._landed = threading.Event()
        self._error: BaseException | None = None
        self._results: list[T] = []

    def fly(self, loop: asyncio.AbstractEventLoop) -> T:
        """Return the result when it is there; raises what the coroutine raises.

        It sees the context variables of this thread.
        """
        self._loop = loop
        loop.call_soon_threadsafe(self._start, loop)
        self._landed.wait()
        if self._error is not None:
            raise self._error
        return self._results[0]

    def cancel(self) -> None:
        """Cancel the task, now or once it is there; for any thread, and for signal handlers."""
        self._is_cancelled = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._cancel)

    # ---- on the loop ----

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._task = loop.create_task(self._run())
        self._task.add_done_callback(self._land)
        if self._is_cancelled:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            self._results.append(await self._make())
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            self._error = error

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _land(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            self._error = asyncio.CancelledError()
        self._landed.set()
