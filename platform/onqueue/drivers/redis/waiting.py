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

_TOKEN = bulk(b"1")


class Waiting:
    """Blocks on the wake tokens of several queues at once, ended from this side to the ms.

    The wait is ended by CLIENT UNBLOCK, whose answer tells whether a token was taken: so none is
    lost. Where that is not allowed the line is dropped and tokens are posted in its place.
    """

    def __init__(
        self, broker: Broker, work: Line, wakes: Sequence[bytes], inbox: bytes = b""
    ) -> None:
        """Wait on a line of its own for `wakes`, and for what is handed over in `inbox`, if any.

        `work` is the line of the consumer.
        """
        self._line = broker.line()
        self._work = work
        self._wakes = wakes
        self._lists = (*wakes, inbox) if inbox else tuple(wakes)
        self._source = _content(inbox)
        self.item: bytes | None = None
        """What was handed over; who takes it sets it back."""
        self.has_lost = False
        """Whether what was handed over may have been lost on its way; who sees to it clears it."""
        self.can_end = True
        """Whether CLIENT UNBLOCK is allowed, as far as is known: else a wait may lose an item."""
        self._socket: Socket | None = None
        self._unblock = b""
        self.guard: AbstractContextManager[Any] = nullcontext()
        """Held while the consumer's line is used."""

    def wait(self, timeout: float, wakeup_fd: int) -> bool:
        """Return when there is a token, `wakeup_fd` is readable or `timeout` seconds are over.

        The caller looks for jobs next; only a wait ended by `wakeup_fd`, of which it returns True,
        posts again what it took.
        """
        interrupted = False
        try:
            self._block(timeout)
            answered, interrupted = self._watch(timeout, wakeup_fd)
            taken = self._line.receive() if answered else self._end()
            if taken and interrupted:
                self._post([bulk(taken[0])], bulk(taken[1]))
            elif taken and taken[0] == self._source:
                self.item = taken[1]
        except GONE:
            self._drop()
            with self.guard:
                self._work.drop()
            self._post(self._wakes)
        except BaseException:
            self._drop()
            raise
        return interrupted

    def _drop(self) -> None:
        self._line.drop()
        self.has_lost = True

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
        self._line.send(packed(b"BLPOP", *self._lists, limit))

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
                self.can_end = True
            except ResponseError:  # an ACL without CLIENT UNBLOCK
                self.can_end = False
                self._drop()
                self._post(self._wakes)
                return None
            if poll.poll(SETTLING_MS):
                taken: list[bytes] | None = self._line.receive()
                return taken

    def _post(self, lists: Iterable[bytes], item: bytes = _TOKEN) -> None:
        for name in lists:
            with self.guard:
                self._work.ask(packed(b"RPUSH", name, item))


def _content(bulk_string: bytes) -> bytes:
    """Return what a bulk string holds."""
    return bulk_string.partition(b"\r\n")[2][:-2]
