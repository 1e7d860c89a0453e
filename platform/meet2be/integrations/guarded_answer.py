"""Reading what strangers' servers answer: the head, and so much of the body as is kept.

More forgiving than `http_answer`, which reads a provider's: whoever receives webhooks may have
written his server himself, and each call has a connection of its own, so that a wrong length can be
taken for nobody else's answer. Sizes are bounded, and time is whoever gives the bytes'.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from http.client import BadStatusLine, HTTPException, IncompleteRead, RemoteDisconnected
from typing import Final

MOST_HEAD: Final = 64 * 1024
MOST_INTERIM: Final = 8
"""How many 1xx answers may come before the real one."""
_STATUS: Final = re.compile(rb"HTTP/\d\.\d +([1-9]\d\d)(?:\s|$)")
_END_OF_HEAD: Final = re.compile(rb"\r?\n\r?\n")
_SWITCHING: Final = 101
_WITHOUT_BODY: Final = frozenset((101, 204, 304))
_CHUNK_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,15}")
_LENGTH: Final = re.compile(r"[0-9]{1,15}")

Receive = Callable[[], bytes]
"""Returns the next bytes; none at the end. Raises ``OSError``, ``TimeoutError`` among them."""


class AnswerReader:
    """Reads one answer from a connection."""

    def __init__(self, receive: Receive, most_read: int) -> None:
        """Keep up to ``most_read`` bytes of the body."""
        self._receive, self._most = receive, most_read
        self._held = b""
        self.status = 0
        self.headers: dict[str, str] = {}

    def read(self) -> tuple[bytes, bool]:
        """Return the body so far as it is kept, and whether there is more of it.

        Raises ``HTTPException`` for what is no answer or ends too early.
        """
        for _ in range(MOST_INTERIM + 1):
            self._read_head()
            if self.status >= 200 or self.status == _SWITCHING:
                return self._read_body()
        raise HTTPException(f"more than {MOST_INTERIM} interim answers")

    def _read_head(self) -> None:
        held = self._held or self._receive()
        if not held:
            raise RemoteDisconnected("the other side hung up without an answer")
        first, _, _ = held.partition(b"\n")
        while (end := _END_OF_HEAD.search(held)) is None:
            # What does not begin like an answer is told at once, however slowly it goes on.
            if len(held) > MOST_HEAD or (b"\n" in held and not _STATUS.match(first)):
                raise BadStatusLine(first[:80].decode("latin-1"))
            held += self._more()
            first, _, _ = held.partition(b"\n")
        head, self._held = held[: end.start()], held[end.end() :]
        first, *lines = head.split(b"\n")
        status = _STATUS.match(first)
        if status is None:
            raise BadStatusLine(first[:80].decode("latin-1"))
        self.status = int(status[1])
        self.headers = _headers(lines)

    def _read_body(self) -> tuple[bytes, bool]:
        if self.status in _WITHOUT_BODY:
            return b"", False
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            return self._read_chunks()
        length = self.headers.get("content-length", "").partition(",")[0].strip()
        if _LENGTH.fullmatch(length):
            size = int(length)
            return self._take(min(size, self._most)), size > self._most
        while len(self._held) <= self._most and (data := self._receive()):
            self._held += data
        return self._held[: self._most], len(self._held) > self._most

    def _read_chunks(self) -> tuple[bytes, bool]:
        body = bytearray()
        while len(body) <= self._most:
            line = self._line()
            size = _CHUNK_SIZE.match(line)
            if size is None:
                raise HTTPException(f"a chunk of {line[:80]!r}")
            if not int(size[0], 16):
                return bytes(body), False
            wanted = min(int(size[0], 16), self._most + 1 - len(body))
            body += self._take(wanted)
            if wanted == int(size[0], 16):
                self._line()
        return bytes(body[: self._most]), True

    def _line(self) -> bytes:
        while b"\n" not in self._held:
            if len(self._held) > MOST_HEAD:
                raise HTTPException("a line without an end")
            self._held += self._more()
        line, _, self._held = self._held.partition(b"\n")
        return line

    def _take(self, size: int) -> bytes:
        if len(self._held) < size:
            pieces, have = [self._held], len(self._held)
            while have < size:
                pieces.append(self._more())
                have += len(pieces[-1])
            self._held = b"".join(pieces)
        taken, self._held = self._held[:size], self._held[size:]
        return taken

    def _more(self) -> bytes:
        data = self._receive()
        if not data:
            raise IncompleteRead(self._held[:80])
        return data


def _headers(lines: list[bytes]) -> dict[str, str]:
    """Return names (in lower case) and values; repeated ones are joined by commas."""
    found: dict[str, str] = {}
    last = ""
    for line in lines:
        text = line.decode("latin-1")
        if text[:1] in {" ", "\t"} and last:  # a value that goes on, as it was written once
            found[last] = f"{found[last]} {text.strip()}"
            continue
        name, colon, value = text.partition(":")
        last = name.strip().lower() if colon else ""
        if last:
            value = value.strip()
            found[last] = f"{found[last]}, {value}" if last in found else value
    return found
