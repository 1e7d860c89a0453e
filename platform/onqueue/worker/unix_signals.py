"""Signals as the parent of a worker hears them: counted by handlers, read from one descriptor."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Self

    Handler = Callable[[int, FrameType | None], object] | int | signal.Handlers | None

STOPPING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
LOOK: Final = signal.SIGUSR1
"""What a parent sends its child to make it look at the shared memory."""


class Knock:
    """A descriptor that is readable once somebody knocked, until it is drained."""

    def __init__(self) -> None:
        """Open the pipe."""
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def fileno(self) -> int:
        """Return the end to wait for."""
        return self._reader

    def knock(self) -> None:
        """Make it readable, from any thread."""
        with suppress(BlockingIOError):  # full, so it is readable
            os.write(self._writer, b"!")

    def drain(self) -> None:
        """Take what is there, so that the next wait blocks again."""
        try:
            while os.read(self._reader, 512):
                continue
        except BlockingIOError:
            return

    def close(self) -> None:
        """Undo what the constructor did."""
        os.close(self._reader)
        os.close(self._writer)


class Wakeup(Knock):
    """A descriptor that is readable after any handled signal, so that no wait misses one."""

    def __init__(self) -> None:
        """Open the pipe and let signals write to it; belongs in the main thread."""
        super().__init__()
        self._before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)

    def close(self) -> None:
        """Undo what the constructor did."""
        signal.set_wakeup_fd(self._before)
        super().close()


class ParentSignals:
    """The wishes that reached the parent by signals, until it leaves the `with` block."""

    def __init__(self) -> None:
        """Hear nothing yet."""
        self.stops = 0
        self.last = 0
        """The number of the last signal to stop, 0 before the first."""
        self.paused = False
        self._before: dict[int, Handler] = {}

    def __enter__(self) -> Self:
        """Listen; needs the main thread."""
        self.wakeup = Wakeup()
        handlers: dict[int, Handler] = dict.fromkeys(STOPPING, self._on_stop)
        handlers[signal.SIGUSR2] = self._on_pause
        handlers[signal.SIGCONT] = self._on_continue
        # Heard only for the descriptor's sake, or not to die of it.
        handlers |= dict.fromkeys((signal.SIGCHLD, LOOK), heed_not)
        for number, handler in handlers.items():
            self._before[number] = signal.signal(number, handler)
        return self

    def __exit__(self, *exc: object) -> None:
        """Restore what was there before; who was told to stop is not killed by being told again."""
        for number, handler in self._before.items():
            is_heeded = self.stops > 0 and number in STOPPING
            # Only SIG_IGN outlasts the end of the interpreter.
            signal.signal(number, signal.SIG_IGN if is_heeded else handler)
        self.wakeup.close()

    def _on_stop(self, number: int, _frame: FrameType | None) -> None:
        self.last = number
        self.stops += 1

    def _on_pause(self, _number: int, _frame: FrameType | None) -> None:
        self.paused = True

    def _on_continue(self, _number: int, _frame: FrameType | None) -> None:
        self.paused = False


def heed_not(_number: int, _frame: FrameType | None) -> None:
    """Do nothing; unlike SIG_IGN it is not inherited by programs that a job starts."""


def reset_for_child(on_look: Callable[[int, FrameType | None], object]) -> Wakeup:
    """Give a forked child signal handling of its own: it obeys its parent, nobody else.

    Returns the descriptor that is readable after its parent's signal.
    """
    wakeup = Wakeup()
    for number in (*STOPPING, signal.SIGUSR2):
        signal.signal(number, heed_not)
    for number in (signal.SIGCONT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(LOOK, on_look)
    return wakeup
