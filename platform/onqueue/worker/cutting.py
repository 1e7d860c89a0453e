"""How a running job is cut short: by a signal in the main thread, from outside in any other."""

from __future__ import annotations

import ctypes
import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from onqueue.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    Wanted: TypeAlias = Callable[[], tuple[int, BaseException | None]]

log = logging.getLogger("onqueue.worker")

_raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
_yield_turn = SystemClock().sleep


class Cutter:
    """Lets a signal raise in the job, and nowhere else.

    `expose` and `cover` bracket the code of the job inside one `try`, so that an exception from
    the handler is always caught there; it comes at most once a run.
    """

    __slots__ = (
        "_cancel",
        "_exposed",
        "_listener",
        "_stop_signal",
        "_wanted",
        "attention",
        "fired",
        "taints",
    )

    def __init__(self, wanted: Wanted, stop_signal: Callable[[], int] = lambda: 0) -> None:
        """`wanted` returns the number of the run to cut and what to raise in it.

        `stop_signal` returns for which signal the worker is to end, 0 while it is not.
        """
        self._wanted = wanted
        self._stop_signal = stop_signal
        self._listener: Callable[[int], None] | None = None
        self._exposed = 0
        self._cancel: Callable[[], object] | None = None
        self.fired: BaseException | None = None
        self.attention = False
        self.taints = False
        """Whether a cut was raised after which the process is not to be trusted any more."""

    def expose(self, number: int) -> None:
        """Allow this run to be cut; raises at once when that was wanted before."""
        self.fired = None
        self.taints = False
        self._exposed = number
        if self.attention:
            self.strike()

    def cover(self) -> None:
        """Allow no cut any more."""
        self._exposed = 0
        self._listener = None

    def listen(self, listener: Callable[[int], None]) -> None:
        """Have the exposed run hear of a stop, once, also of one that came before."""
        self._listener = listener
        self._tell_stop()

    def _tell_stop(self) -> None:
        """Call the listener when the worker is to stop; what it raises is only reported."""
        number = self._stop_signal() if self._listener is not None else 0
        if number:
            listener, self._listener = self._listener, None
            try:
                if listener is not None:
                    listener(number)
            except Exception:
                log.exception("interrupted() of a job raised")

    def on_signal(self, *_: object) -> None:
        """Note that the parent wants something; raise when it is to cut the exposed run."""
        self.attention = True
        self.strike()

    def strike(self) -> None:
        """Raise in the exposed run when it is the one to cut."""
        self._tell_stop()
        number, error = self._wanted()
        if error is not None and number and number == self._exposed:
            self._exposed = 0
            self.fired = error
            if self._cancel is None:
                self.taints = True
                raise error
            self._cancel()

    @contextmanager
    def diverted(self, cancel: Callable[[], object]) -> Iterator[None]:
        """Have a cut call `cancel` instead of raising here, where only a coroutine is awaited."""
        self._cancel = cancel
        try:
            yield
        finally:
            self._cancel = None


class ThreadCutter(Cutter):
    """Lets the main thread raise in the job of another one, and nowhere else.

    Such an exception comes with the thread's next step in Python, so it may still be on its way
    when the job is over: `cover` waits for whoever is about to send one, and takes it back. The
    interpreter makes one step of one thread at a time, which keeps the order of the flags. The
    process is trusted further all the same, as all other threads would have to wait for a new one.
    """

    __slots__ = ("_is_striking", "_thread")

    def __init__(self, wanted: Wanted, stop_signal: Callable[[], int] = lambda: 0) -> None:
        """Belong to no thread until the first run."""
        super().__init__(wanted, stop_signal)
        self._thread = 0
        self._is_striking = False

    def expose(self, number: int) -> None:
        """Allow this run to be cut; raises at once when that was wanted before."""
        self.fired = None
        self._thread = threading.get_ident()
        self._exposed = number
        wanted, error = self._wanted()
        if error is not None and wanted == number:
            self._exposed = 0
            self.fired = error
            raise error

    def cover(self) -> None:
        """Allow no cut any more; one that was on its way is taken back."""
        super().cover()
        while self._is_striking:
            _yield_turn(0)
        if self.fired is not None:
            _raise_in(ctypes.c_ulong(self._thread), None)

    def strike(self) -> None:
        """Raise in the exposed run when it is the one to cut; for the main thread."""
        self._tell_stop()
        number, error = self._wanted()
        if error is None or not number:
            return
        self._is_striking = True
        if self._exposed == number:
            self._exposed = 0
            self.fired = error
            if self._cancel is None:
                _raise_in(ctypes.c_ulong(self._thread), ctypes.py_object(_made_anew(error)))
            else:
                self._cancel()
        self._is_striking = False

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """Let nothing be raised inside, as a trip to the broker must not end half-way."""
        number, self._exposed = self._exposed, 0
        while self._is_striking:
            _yield_turn(0)
        try:
            yield
        finally:
            if number and self.fired is None:
                self.expose(number)


def _made_anew(error: BaseException) -> type[BaseException]:
    """Return a class whose instances say what this error says: only classes can be sent."""
    kind = type(error)
    likeness = {"__init__": lambda self: _copy(self, error), "__module__": kind.__module__}
    return type(kind.__name__, (kind,), likeness)


def _copy(blank: BaseException, error: BaseException) -> None:
    blank.__dict__.update(vars(error))
    blank.args = error.args
