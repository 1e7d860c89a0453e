"""Reading the answer to one HTTP/1.1 request (RFC 9112) as it comes in, by httptools.

The parser is llhttp's. What is added: bounds of what is kept and waited for, answers that end with
their connection, and the end of those that are cut short.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

MOST_WITHOUT_BODY: Final = 64 * 1024
"""How many bytes may come that bring no body: heads, trailers, and the lines between chunks."""
MOST_INTERIM: Final = 8
"""How many 1xx answers may come before the real one."""
_SWITCHING: Final = 101
_FINAL: Final = 200

Receive = Callable[[], bytes]
"""Returns the next bytes; none at the end. Raises ``OSError``, ``TimeoutError`` among them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (lower case; repeated ones joined by commas, RFC 9110 §5.3) and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_cut: bool
    """Whether the body is longer than what is kept."""
    is_last: bool
    """Whether nothing more may be asked on the connection."""


def read_answer(receive: Receive, most_kept: int, *, is_forgiving: bool = False) -> Answer:
    """Return the answer that `receive` brings piece by piece; raises as `AnswerReader`."""
    reader = AnswerReader(most_kept, is_forgiving=is_forgiving)
    while not reader.take(receive()):
        pass
    return reader.answer()


class AnswerReader:
    """Reads one answer from pieces as they come, and keeps up to ``most_kept`` of its body.

    ``is_forgiving`` takes what servers that somebody wrote himself are known for: lines that end
    with a line feed, headers that go on in the next line. It is for connections that carry one
    answer only, where a wrong length cannot be taken for somebody else's answer.
    """

    def __init__(self, most_kept: int, *, is_forgiving: bool = False) -> None:
        """Have heard nothing yet."""
        self._heard = _Heard(most_kept)
        self._parser = self._heard.parser = HttpResponseParser(self._heard)
        if is_forgiving:
            self._parser.set_dangerous_leniencies(
                lenient_headers=True,
                lenient_chunked_length=True,
                lenient_optional_cr_before_lf=True,
                lenient_spaces_after_chunk_size=True,
            )
        self._without_body = 0

    def take(self, data: bytes) -> bool:
        """Read the next bytes, none at the end; True when the answer is whole.

        Raises ``HTTPException`` for what is no answer or not a whole one.
        """
        heard = self._heard
        if not data:
            heard.end()
            return True
        before = heard.size
        _feed(self._parser, heard, data)
        if heard.is_whole:
            return True
        self._without_body = self._without_body + len(data) if heard.size == before else 0
        if self._without_body > MOST_WITHOUT_BODY:
            raise HTTPException(f"more than {MOST_WITHOUT_BODY} bytes without an end or a body")
        return False

    def answer(self) -> Answer:
        """Return the answer, which is whole."""
        return self._heard.answer()


def _feed(parser: HttpResponseParser, heard: _Heard, data: bytes) -> None:
    try:
        parser.feed_data(data)
    except (HttpParserError, HttpParserUpgrade) as error:
        if not heard.is_whole:  # else it is about what follows the answer
            raise HTTPException(f"no HTTP: {error} in {data[:80]!r}") from error
        heard.is_last = True
    if heard.interim > MOST_INTERIM:
        raise HTTPException(f"more than {MOST_INTERIM} interim answers")


class _Heard:
    """What the parser told of an answer so far; the names of its methods are the parser's."""

    parser: HttpResponseParser

    def __init__(self, most_kept: int) -> None:
        self._most = most_kept
        self._headers: dict[str, str] = {}
        self._pieces: list[bytes] = []
        self._status = self.interim = 0
        self._has_begun = self._has_head = False
        self.size = 0
        self.is_whole = self.is_last = False

    def on_message_begin(self) -> None:
        # Bytes that nobody asked for would be taken for the next answer.
        self.is_last = self.is_last or self.is_whole
        self._has_begun = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._has_head or self.is_whole:
            return  # trailers say nothing that is asked for
        key, text = name.decode("latin-1").lower(), value.decode("latin-1").strip()
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        if self.is_whole:
            return
        self._status = self.parser.get_status_code()
        self._has_head = True

    def on_body(self, piece: bytes) -> None:
        if not self.is_whole:
            self._pieces.append(piece)
            self.size += len(piece)
            if self.size > self._most:
                self.is_whole = self.is_last = True

    def on_message_complete(self) -> None:
        if self.is_whole:
            return
        if self._status < _FINAL and self._status != _SWITCHING:
            self._headers, self._has_head = {}, False
            self.interim += 1
            return
        self.is_whole = True
        self.is_last = not self.parser.should_keep_alive()

    def end(self) -> None:
        """Hear that the connection has ended; raises ``HTTPException`` when that is too early."""
        if not self._has_begun:
            raise RemoteDisconnected("the connection was closed without an answer")
        is_told = "content-length" in self._headers or self._is_chunked
        if not self._has_head or is_told:
            raise IncompleteRead(b"".join(self._pieces)[:80])
        self.is_whole = self.is_last = True

    @property
    def _is_chunked(self) -> bool:
        return "chunked" in self._headers.get("transfer-encoding", "").lower()

    def answer(self) -> Answer:
        body = b"".join(self._pieces)
        is_cut = len(body) > self._most
        return Answer(self._status, self._headers, body[: self._most], is_cut, self.is_last)
