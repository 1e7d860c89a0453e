"""Reading the answer to one HTTP/1.1 request (RFC 9112), of which usually one packet is all.

The standard library sends the head of each answer through its parser of e-mails, which costs more
processor time than the rest of a refund's call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import BadStatusLine, HTTPException, IncompleteRead, RemoteDisconnected
from typing import Final

MAX_BODY: Final = 4 * 1024 * 1024
MAX_HEAD: Final = 64 * 1024
_LENGTH: Final = re.compile(r"[0-9]{1,10}")
"""Longer ones are refused before Python makes numbers of them, which has a limit of its own."""
_CHUNK: Final = re.compile(rb"[0-9A-Fa-f]{1,8}")
_WITHOUT_BODY: Final = frozenset({204, 304})
_CONTINUE: Final = 200  # below it an answer says that another one follows


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (lower case; repeated ones joined by commas, RFC 9110 §5.3) and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_last: bool
    """Whether nothing more may be asked on the connection."""


class _Stream:
    """What was received and is not used yet."""

    def __init__(self, receive: Callable[[], bytes]) -> None:
        self._receive = receive
        self.held = bytearray()

    def more(self) -> None:
        data = self._receive()
        if not data:
            raise IncompleteRead(bytes(self.held[:80]))
        self.held += data

    def through(self, mark: bytes, limit: int) -> bytes:
        """Return what comes up to the mark, and pass over that."""
        seen = 0
        while (end := self.held.find(mark, seen)) < 0:
            if len(self.held) > limit:
                raise HTTPException(f"more than {limit} bytes without an end")
            seen = max(0, len(self.held) - len(mark) + 1)
            self.more()
        return self._cut(end, len(mark))

    def take(self, size: int) -> bytes:
        while len(self.held) < size:
            self.more()
        return self._cut(size, 0)

    def rest(self) -> bytes:
        while data := self._receive():
            self.held += data
            _check_size(len(self.held))
        return bytes(self.held)

    def _cut(self, end: int, passed: int) -> bytes:
        found = bytes(self.held[:end])
        del self.held[: end + passed]
        return found


def read_answer(receive: Callable[[], bytes]) -> Answer:
    """Return the answer that `receive` brings piece by piece (nothing: the other side is done).

    Raises ``HTTPException`` for what is no answer or not a whole one, and what `receive` raises.
    """
    first = receive()
    if not first:
        raise RemoteDisconnected("the connection was closed without an answer")
    stream = _Stream(receive)
    stream.held += first
    while True:
        version, status, headers = _head(stream.through(b"\r\n\r\n", MAX_HEAD))
        if status >= _CONTINUE:
            break
    wish = headers.get("connection", "").lower()
    is_last = "keep-alive" not in wish if version == "HTTP/1.0" else "close" in wish
    body, is_delimited = _body(stream, status, headers)
    # Bytes that nobody asked for would be taken for the next answer.
    return Answer(status, headers, body, is_last or not is_delimited or bool(stream.held))


def _head(data: bytes) -> tuple[str, int, dict[str, str]]:
    first, *lines = data.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    code = rest[:3]
    if not version.startswith("HTTP/1.") or not (code.isascii() and code.isdigit()):
        raise BadStatusLine(first[:80])
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise HTTPException(f"no header: {line[:80]!r}")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return version, int(code), headers


def _body(stream: _Stream, status: int, headers: Mapping[str, str]) -> tuple[bytes, bool]:
    """Return the body and whether its end was told rather than the connection's."""
    if status in _WITHOUT_BODY:
        return b"", True
    if "transfer-encoding" in headers:
        if headers["transfer-encoding"].lower() != "chunked":
            raise HTTPException(f"encoded as {headers['transfer-encoding'][:80]!r}")
        return _chunks(stream), True
    length = headers.get("content-length")
    if length is None:
        return stream.rest(), False
    if not _LENGTH.fullmatch(length):
        raise HTTPException(f"a length of {length[:80]!r}")
    _check_size(int(length))
    return stream.take(int(length)), True


def _chunks(stream: _Stream) -> bytes:
    body = bytearray()
    while size := _chunk_size(stream.through(b"\r\n", MAX_HEAD)):
        _check_size(len(body) + size)
        body += stream.take(size)
        if stream.take(2) != b"\r\n":
            raise HTTPException("a chunk that is longer than it said")
    trailer = b"anything"
    while trailer:  # trailers say nothing that is asked for
        trailer = stream.through(b"\r\n", MAX_HEAD)
    return bytes(body)


def _chunk_size(line: bytes) -> int:
    size = line.partition(b";")[0].rstrip(b" \t")  # RFC 9112 §7.1.1: blanks before an extension
    if not _CHUNK.fullmatch(size):
        raise HTTPException(f"a chunk of {line[:80]!r}")
    return int(size, 16)


def _check_size(size: int) -> None:
    if not 0 <= size <= MAX_BODY:
        raise HTTPException(f"an answer of more than {MAX_BODY} bytes")
