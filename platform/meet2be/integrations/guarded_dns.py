"""Looking up a name in time.

The C library's look-up knows no deadline and cannot be stopped. So it runs in a thread of its own,
which is waited for no longer than the call has time; a thread that hangs ends when the library
gives up, and there are never more than `MOST_THREADS` of them. Whoever asks for a name that is
being looked up waits for that answer, so that one slow name server holds up its own names only.

A thread and a question cost more of the processor's time than the call they are for. Where many
calls go to one name, its answer may be kept for a few seconds: whoever calls checks what it gets
and connects to that very address, so an old answer leads nowhere that a new one could not.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from typing import Final

from meet2be.integrations.guarded_addresses import Address, parse_address
from onqueue.clock import SystemClock

MOST_THREADS: Final = 64
KEPT: Final = 5.0
"""Seconds for which webhooks keep an answer; less than any delivery waits for its next attempt."""
_MOST_KEPT: Final = 4096

LookUp = Callable[[str, int], Sequence[str]]
"""Returns the addresses of a name for a port; raises ``OSError``."""


class LookUpFailed(Exception):
    """A name has no address, or none came in time (`is_late`)."""

    def __init__(self, host: str, why: str, *, is_late: bool = False) -> None:
        self.host, self.is_late = host, is_late
        super().__init__(why)


def system_look_up(host: str, port: int) -> Sequence[str]:
    """Ask the machine's resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [str(entry[4][0]) for entry in found]


class Question:
    """One name on its way through the resolver."""

    def __init__(self, host: str) -> None:
        """Have no answer yet."""
        self.host = host
        self._lock = threading.Lock()
        self._acts: list[Callable[[], object]] | None = []
        self._found: Sequence[str] = ()
        self._error: OSError | UnicodeError | None = None

    @property
    def is_done(self) -> bool:
        """Whether it is answered, for good or ill."""
        return self._acts is None

    def when_done(self, act: Callable[[], object]) -> None:
        """Have this called once at the end, by any thread; at once when it is over."""
        with self._lock:
            if self._acts is not None:
                self._acts.append(act)
                return
        act()

    def answer(self, found: Sequence[str], error: OSError | UnicodeError | None = None) -> None:
        """Say what came of it."""
        with self._lock:
            self._found, self._error = found, error
            acts, self._acts = self._acts or [], None
        for act in acts:
            act()

    def addresses(self) -> Sequence[Address]:
        """Return what was found; raises ``LookUpFailed``, also where there is no answer yet."""
        host, error = self.host, self._error
        if not self.is_done:
            raise LookUpFailed(host, f"no name server answered for '{host}' in time", is_late=True)
        if error is not None:
            why = error.args[-1] if error.args else "no answer"
            raise LookUpFailed(host, f"'{host}' cannot be found: {why}") from error
        found = [parse_address(text) for text in dict.fromkeys(self._found)]
        addresses = [address for address in found if address is not None]
        if not addresses or len(addresses) != len(found):
            raise LookUpFailed(host, f"'{host}' has no address that can be called")
        return tuple(addresses)


class Resolver:
    """Looks names up, each with a deadline; safe to be used by many threads."""

    def __init__(
        self,
        look_up: LookUp = system_look_up,
        most_threads: int = MOST_THREADS,
        *,
        kept: float = 0.0,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        """Ask ``look_up``; answers that name addresses are given again for ``kept`` seconds."""
        self._look_up = look_up
        self._seconds_kept = kept
        self._monotonic = monotonic or SystemClock().monotonic
        self._kept: dict[tuple[str, int], tuple[float, Sequence[Address]]] = {}
        self._places = threading.BoundedSemaphore(most_threads)
        self._lock = threading.Lock()
        self._asked: dict[tuple[str, int], Question] = {}

    def addresses(
        self, host: str, port: int, seconds: float, *, anew: bool = False
    ) -> Sequence[Address]:
        """Return every address of a name, in the resolver's order; raises ``LookUpFailed``.

        ``anew`` takes no answer that was kept.
        """
        known = self.known(host, port, anew=anew)
        if known is not None:
            return known
        question, is_over = self.ask(host, port), threading.Event()
        question.when_done(is_over.set)
        is_over.wait(max(0.0, seconds))
        return self.keep(question, port)

    def known(self, host: str, port: int, *, anew: bool = False) -> Sequence[Address] | None:
        """Return what needs no look-up: an address itself, or an answer kept unless ``anew``."""
        literal = parse_address(host)
        if literal is not None:
            return (literal,)
        kept = self._kept.get((host, port))
        is_fresh = kept is not None and not anew and self._monotonic() < kept[0]
        return kept[1] if kept is not None and is_fresh else None

    def keep(self, question: Question, port: int) -> Sequence[Address]:
        """Return what was found, and keep it; raises as ``Question.addresses``."""
        found = question.addresses()
        if self._seconds_kept:
            if len(self._kept) >= _MOST_KEPT:
                self._kept = {}
            self._kept[question.host, port] = (self._monotonic() + self._seconds_kept, found)
        return found

    def ask(self, host: str, port: int) -> Question:
        """Begin to look a name up, unless that is under way; raises ``LookUpFailed``."""
        with self._lock:
            question = self._asked.get((host, port))
            if question is not None:
                return question
            if not self._places.acquire(blocking=False):
                raise LookUpFailed(host, "too many names are being looked up", is_late=True)
            question = self._asked[host, port] = Question(host)
        # A daemon: a look-up that hangs must not keep a worker from ending.
        threading.Thread(
            target=self._answer, args=(host, port, question), name="look-up", daemon=True
        ).start()
        return question

    def _answer(self, host: str, port: int, question: Question) -> None:
        found: Sequence[str] = ()
        failed: OSError | UnicodeError | None = None
        try:
            found = self._look_up(host, port)
        except (OSError, UnicodeError) as error:
            failed = error
        finally:
            with self._lock:
                self._asked.pop((host, port), None)
            self._places.release()
            question.answer(found, failed)
