"""One thread that waits for the sockets of many conversations, so that nobody else has to.

A conversation is a generator: it does what it can without waiting and yields a `Pause` for what it
must wait for. A thread that waits for a socket by itself gives the interpreter up, and waits for it
again, with each connect, send, poll, receive and close; where 64 do so at once, handing it round
costs more than the calls. Here all that work is done by one thread, which finds several sockets
ready at a time, and whoever asked hears of the end only.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
from collections.abc import Callable, Generator
from typing import Any, Final, NamedTuple, Protocol, TypeAlias, TypeVar

log = logging.getLogger("meet2be.integrations")

T = TypeVar("T")
LOOK: Final = 0.05
"""Seconds between two looks at whose time is over: no pause ends later than that."""
IDLE: Final = 5.0
"""Seconds without a conversation after which the thread ends; the next one begins another."""
_BOTH: Final = select.EPOLLIN | select.EPOLLOUT | select.EPOLLET
_BROKEN: Final = select.EPOLLERR | select.EPOLLHUP


class Awaited(Protocol):
    """Something other than a socket that comes to an end."""

    def when_done(self, act: Callable[[], object]) -> None:
        """Have this called once at the end, by any thread; at once when it is over."""
        ...


class Pause(NamedTuple):
    """What a conversation waits for, and until when by its clock.

    A socket is one that gives `BlockingIOError` instead of waiting. It is told by the ``number``
    of the connection, which rises with each that the conversation opens. That it ``can`` read
    (`select.POLLIN`) or write (`POLLOUT`) is told once, and now and then although it cannot:
    whoever wants all that has come reads until nothing is left.
    """

    what: socket.socket | Awaited
    can: int
    until: float
    number: int = 0


Steps: TypeAlias = Generator[Pause, None, T]
"""A conversation; `TimeoutError` is raised in it where a pause takes too long."""
Then: TypeAlias = Callable[[T | None, Exception | None], object]
"""Hears what a conversation came to, or what it raised; raises nothing itself."""


class _Line:
    """One conversation, and where it stands."""

    __slots__ = ("can", "fd", "is_over", "number", "ready", "steps", "then", "until")

    def __init__(self, steps: Steps[Any], then: Then[Any]) -> None:
        self.steps, self.then = steps, then
        self.fd, self.number = -1, 0
        self.can = self.ready = 0
        self.until = 0.0
        self.is_over = False


class Switchboard:
    """Leads conversations to their ends; safe to be used by many threads."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """Take the clock by which conversations say how long they wait."""
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._shift: _Shift | None = None

    def begin(self, steps: Steps[T], then: Then[T]) -> None:
        """Lead a conversation in the thread that is here for it; that one calls ``then``."""
        line = _Line(steps, then)
        shift = self._shift
        if shift is not None and shift.put(line):
            return
        with self._lock:
            if self._shift is shift or self._shift is None or not self._shift.put(line):
                self._shift = _Shift(self._monotonic, line)


class _Shift:
    """The work of one thread, from a first conversation until there are none for a while."""

    def __init__(self, monotonic: Callable[[], float], first: _Line) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._arrived = [first]
        self._is_knocked, self._is_over = True, False
        self._lines: dict[int, _Line] = {}
        self._under_way: set[_Line] = set()
        self._pid = os.getpid()
        self._poller = select.epoll()
        self._bell = os.eventfd(1, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poller.register(self._bell, select.EPOLLIN)
        # A daemon: whoever waits for a conversation is a job, and the process ends when it has.
        threading.Thread(target=self._work, name="switchboard", daemon=True).start()

    def put(self, line: _Line) -> bool:
        """Have the thread go on with a conversation; False when there is no thread any more."""
        if self._pid != os.getpid():  # a copy of the process has no thread, but maybe a held lock
            return False
        with self._lock:
            if self._is_over:
                return False
            self._arrived.append(line)
            if not self._is_knocked:
                self._is_knocked = True
                os.eventfd_write(self._bell, 1)
            return True

    # ---- all that follows is done by the thread ----

    def _work(self) -> None:
        try:
            self._lead()
        except Exception as error:
            log.exception("the thread that waits for all sockets cannot go on")
            with self._lock:
                self._is_over = True
            for line in {*self._under_way, *self._arrived}:
                self._go_on(line, error)
                if not line.is_over:  # it would wait for what nobody tells it any more
                    self._end(line, None, error)
        finally:
            self._poller.close()
            os.close(self._bell)

    def _lead(self) -> None:
        look_at = 0.0
        while True:
            found = self._poller.poll(LOOK if self._under_way else IDLE)
            if not found and self._ends():
                return
            for fd, events in found:
                self._hear(fd, events)
            now = self._monotonic()
            if now >= look_at:
                look_at = now + LOOK
                self._end_late(now)

    def _ends(self) -> bool:
        with self._lock:
            self._is_over = not self._under_way and not self._arrived
            return self._is_over

    def _hear(self, fd: int, events: int) -> None:
        line = self._lines.get(fd)
        if line is not None:
            line.ready |= events
            if line.ready & (line.can | _BROKEN):
                line.ready &= ~line.can
                self._go_on(line)
        elif fd == self._bell:
            os.eventfd_read(self._bell)
            with self._lock:
                arrived, self._arrived, self._is_knocked = self._arrived, [], False
            for each in arrived:
                if not each.is_over:
                    self._under_way.add(each)
                    self._go_on(each)

    def _end_late(self, now: float) -> None:
        for line in [each for each in self._under_way if each.until <= now]:
            self._go_on(line, TimeoutError("what a conversation waited for took too long"))

    def _go_on(self, line: _Line, error: Exception | None = None) -> None:
        """Lead a conversation on to what it must wait for, or to its end."""
        try:
            while True:
                pause = line.steps.send(None) if error is None else line.steps.throw(error)
                error = None
                if not self._can_go_on(line, pause):
                    return
        except StopIteration as end:
            self._end(line, end.value, None)
        except Exception as failed:  # noqa: BLE001 -- whoever began it hears of it
            self._end(line, None, failed)

    def _can_go_on(self, line: _Line, pause: Pause) -> bool:
        """Tell whether what is waited for is here already; else it will be heard of."""
        line.until, line.can = pause.until, pause.can
        if not isinstance(pause.what, socket.socket):
            pause.what.when_done(lambda: self.put(line))
            return False
        if line.number != pause.number:
            self._forget(line)
            line.fd, line.number, line.ready = pause.what.fileno(), pause.number, 0
            self._poller.register(line.fd, _BOTH)
            self._lines[line.fd] = line
        if line.ready & (line.can | _BROKEN):
            line.ready &= ~line.can
            return True
        return False

    def _forget(self, line: _Line) -> None:
        """Hear of a line's former socket no more, which is closed by now."""
        if self._lines.get(line.fd) is line:
            del self._lines[line.fd]

    def _end(self, line: _Line, found: object, error: Exception | None) -> None:
        line.is_over = True
        self._forget(line)
        self._under_way.discard(line)
        try:
            line.then(found, error)
        except Exception:
            log.exception("whoever began a conversation could not hear of its end")
