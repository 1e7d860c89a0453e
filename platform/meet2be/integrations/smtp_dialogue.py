"""One SMTP connection on which commands may be said before earlier ones are answered (RFC 2920).

``smtplib`` waits for each answer, which is four round trips a message where one is enough.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

LONGEST_REPLY: Final = 64 * 1024
_CODE_LENGTH: Final = 3


class ConnectionLost(Exception):
    """The connection broke, an answer did not come in time, or it was none."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's answer: its code, and its words with the lines of a longer one put together."""

    code: int
    text: str


class Dialogue:
    """Says commands and hears their answers, in the same order."""

    def __init__(self, sock: socket.socket, extensions: Collection[str]) -> None:
        """Go on with a connection that was greeted; ``extensions``: what EHLO named, lower case."""
        self._sock = sock
        self._heard = bytearray()
        self.pipelines = "pipelining" in extensions
        self.takes_utf8 = "smtputf8" in extensions

    def say(self, data: bytes) -> None:
        """Send commands or a message; raises ``ConnectionLost``."""
        try:
            self._sock.sendall(data)
        except OSError as error:
            raise ConnectionLost(str(error) or type(error).__name__) from error

    def hear(self) -> Reply:
        """Wait for the next answer and return it; raises ``ConnectionLost``."""
        lines = [self._line()]
        while lines[-1][_CODE_LENGTH : _CODE_LENGTH + 1] == b"-":
            lines.append(self._line())
        code = lines[-1][:_CODE_LENGTH]
        if not code.isdigit():
            raise ConnectionLost(f"the server said {lines[-1][:80]!r}, which is no SMTP answer")
        text = b"\n".join(line[_CODE_LENGTH + 1 :].strip() for line in lines)
        return Reply(int(code), text.decode("utf-8", "replace"))

    def is_answered(self, within: float) -> bool:
        """Tell whether an answer has come or comes within so many seconds."""
        pending = getattr(self._sock, "pending", None)  # TLS may hold what the kernel gave out
        if self._heard or (pending is not None and pending()):
            return True
        waiting = select.poll()
        waiting.register(self._sock, select.POLLIN)
        return bool(waiting.poll(within * 1000))

    def hang_up(self) -> None:
        """Close the connection without a word."""
        self._sock.close()

    def _line(self) -> bytes:
        while (end := self._heard.find(b"\n")) < 0:
            self._heard += self._received()
            if len(self._heard) > LONGEST_REPLY:
                raise ConnectionLost(f"an answer of more than {LONGEST_REPLY} bytes")
        line = bytes(self._heard[:end])
        del self._heard[: end + 1]
        return line

    def _received(self) -> bytes:
        try:
            data = self._sock.recv(4096)
        except OSError as error:
            raise ConnectionLost(str(error) or type(error).__name__) from error
        if not data:
            raise ConnectionLost("the server has closed the connection")
        return data
