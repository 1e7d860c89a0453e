"""The marks of several threads that share a consumer."""

from __future__ import annotations

import ctypes
import socket
import ssl
import threading
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from onqueue.drivers.redis.wire import command

if TYPE_CHECKING:
    from onqueue.contracts import JobId
    from onqueue.drivers.redis.wire import Broker

MOST_UNANSWERED = 1000
"""Marks after which the server is asked whether it is there."""

_ENDING = 34  # an id and the end of its line, which is how each mark ends

_send = ctypes.PyDLL(None).send
_AT_ONCE = int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)


def send_at_once(sock: socket.socket | None, packed: bytes) -> bytes:
    """Send without letting go of the interpreter; return what the socket did not take.

    Python's own way lets other threads run meanwhile, and with many that are waiting for their
    turn, to get it back costs far more than these few microseconds.
    """
    if sock is None or isinstance(sock, ssl.SSLSocket):
        return packed
    sent = _send(sock.fileno(), packed, len(packed), _AT_ONCE)
    return packed[sent:] if sent > 0 else packed


class Marks:
    """Marks starts on a line of their own, so that nobody waits for a trip of another's.

    It is one line for all threads, as what comes on one the server reads at once. What was told is
    repeated when the line breaks before something was answered, so now and then an answer is
    asked for. A start is not repeated once its job has ended: it may have come again since, and
    would count as started before it is.
    """

    def __init__(
        self,
        broker: Broker,
        heads: tuple[str, str],
        given: set[JobId],
        out: set[JobId],
    ) -> None:
        """Share the consumer's heads of commands for an end and a start, and what it knows.

        `given` is what was handed out and has not started, `out` all of it that has not ended.
        """
        self._broker = broker
        self._line = broker.line(send_at_once, self._counts)
        self._heads = heads
        self._given = given
        self._out = out
        self._told = 0
        self._guard = threading.Lock()

    def mark(self, done: JobId | None, started: JobId) -> None:
        """Write down that one job is done and the next has started; nobody waits for it."""
        self._given.discard(started)
        done_head, start_head = self._heads
        text = f"{start_head}{started}\r\n"
        if done is not None:
            text = f"{done_head}{done}\r\n{text}"
        packed = text.encode()
        with self._guard:
            try:
                self._line.tell(packed)
                self._told += 1
                if self._told >= MOST_UNANSWERED:
                    self._line.ask(command(b"PING"))
                    self._told = 0
            except RedisError:
                self._line.drop()
                with self._broker.translating():
                    raise

    def close(self) -> None:
        """Close the line."""
        self._line.drop()

    def _counts(self, told: bytes) -> bool:
        started = told[-_ENDING:-2].decode()
        return started in self._out and started not in self._given
