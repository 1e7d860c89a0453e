"""The wait of an idle consumer."""

from __future__ import annotations

import math
import select
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from onqueue.drivers.redis.keys import bulk
from onqueue.drivers.redis.translation import GONE
from onqueue.drivers.redis.wire import command, packed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from onqueue.drivers.redis.wire import Broker, Line, Socket

SETTLING_MS = 20
"""How long the server may need to see a BLPOP that was sent before it was to end it."""


class Waiting:
    """Blocks on the wake tokens of several queues at once, ended from this side to the ms.

    The wait is ended by CLIENT UNBLOCK, whose answer tells whether a token was taken: so none is
    lost. Where that is not allowed the line is dropped and tokens are posted in its place.
    """

    def __init__(self, broker: Broker, work: Line, wakes: Sequence[bytes]) -> None:
        """Wait on a line of its own for `wakes`; `work` is the line of the consumer."""
        self._line = broker.line()
        self._work = work
        self._wakes = wakes
        self._socket: Socket | None = None
        self._unblock = b""
        self.guard: AbstractContextManager[Any] = nullcontext()
        """Held while the consumer's line is used."""

    def wait(self, timeout: float, wakeup_fd: int) -> None:
        """Return when there is a token, `wakeup_fd` is readable or `timeout` seconds are over.

        The caller looks for jobs next; only a wait ended by `wakeup_fd` posts its token again.
        """
        try:
            self._block(timeout)
            answered, interrupted = self._watch(timeout, wakeup_fd)
            taken = self._line.receive() if answered else self._end()
            if taken and interrupted:
                self._post([bulk(taken[0])])
        except GONE:
            self._line.drop()
            with self.guard:
                self._work.drop()
            self._post(self._wakes)
        except BaseException:
            self._line.drop()
            raise

    def close(self) -> None:
        """Close the line."""
        self._line.drop()

    def _block(self, timeout: float) -> None:
        socket = self._line.open()
        if socket is not self._socket:
            number = self._line.ask(command(b"CLIENT", b"ID"))
            self._unblock = command(b"CLIENT", b"UNBLOCK", b"%d" % number)
            self._socket = socket
        # The server's own limit is only for the case that this process dies without a word.
        limit = bulk(b"%d" % (math.ceil(timeout) + 5))
        self._line.send(packed(b"BLPOP", *self._wakes, limit))

    def _watch(self, timeout: float, wakeup_fd: int) -> tuple[bool, bool]:
        answer_fd = self._line.fileno()
        poll = select.poll()
        poll.register(answer_fd, select.POLLIN)
        poll.register(wakeup_fd, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(max(0, math.ceil(timeout * 1000)))}
        return answer_fd in ready, wakeup_fd in ready

    def _end(self) -> list[bytes] | None:
        """End the wait; return the list's key and the token when one was taken after all."""
        poll = select.poll()
        poll.register(self._line.fileno(), select.POLLIN)
        while True:
            try:
                with self.guard:
                    self._work.ask(self._unblock)
            except ResponseError:  # an ACL without CLIENT UNBLOCK
                self._line.drop()
                self._post(self._wakes)
                return None
            if poll.poll(SETTLING_MS):
                taken: list[bytes] | None = self._line.receive()
                return taken

    def _post(self, wakes: Iterable[bytes]) -> None:
        for wake in wakes:
            with self.guard:
                self._work.ask(packed(b"RPUSH", wake, bulk(b"1")))
