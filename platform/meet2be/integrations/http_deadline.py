"""HTTP calls that end in time: one kept connection a thread, one deadline a call.

A library's time-out counts from byte to byte, so that a peer that drips can hold a call for ever.
Here every wait of a call, from connecting to the last byte, takes from one total. It is also
lean: a refund costs a fraction of the processor time that `requests` needs for it.
"""

from __future__ import annotations

import http.client
import re
import select
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from meet2be.integrations.http_answer import Answer, read_answer
from onqueue.clock import SystemClock

MAX_BODY: Final = 4 * 1024 * 1024
_PIECE: Final = 64 * 1024
_ENDS_A_LINE: Final = re.compile(r"[\r\n\0]")


class CallFailed(Exception):
    """No usable answer came. `sent` tells whether the request may have reached the other side."""

    def __init__(self, code: str, why: str, *, sent: bool) -> None:
        """Keep a short code (`timeout`, `connect`, `reset`, `unparsable`) and the cause."""
        self.code, self.sent = code, sent
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to connect, and for the whole call."""

    connect: float = 10.0
    total: float = 60.0


class _Connection:
    """One kept connection of one thread to one host, with the time that the call has left."""

    def __init__(
        self, parts: SplitResult, context: ssl.SSLContext | None, monotonic: Callable[[], float]
    ) -> None:
        self._parts, self._context, self._monotonic = parts, context, monotonic
        self._sock: socket.socket | None = None
        self._ends_at = 0.0

    @property
    def is_open(self) -> bool:
        return self._sock is not None

    def open(self, timeouts: Timeouts) -> None:
        default = 80 if self._context is None else 443
        address = (self._parts.hostname or "", self._parts.port or default)
        sock = socket.create_connection(address, timeouts.connect)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context is not None:
            sock = self._context.wrap_socket(sock, server_hostname=address[0])
        self._sock = sock

    def exchange(self, request: bytes, ends_at: float) -> Answer:
        """Send one request and return its answer."""
        sock = self._sock
        if sock is None:
            raise http.client.NotConnected
        self._ends_at = ends_at
        sock.settimeout(self._left())
        sock.sendall(request)
        answer = read_answer(self._receive, MAX_BODY)
        if answer.is_cut:
            raise http.client.HTTPException(f"an answer of more than {MAX_BODY} bytes")
        if (coding := answer.headers.get("transfer-encoding", "chunked")).lower() != "chunked":
            raise http.client.HTTPException(f"encoded as {coding[:80]!r}")
        if answer.is_last:
            self.close()
        return answer

    def was_closed_by_peer(self) -> bool:
        """Tell whether the idle connection has ended: what is sent on it would be lost."""
        if self._sock is None:
            return True
        waiting = select.poll()
        waiting.register(self._sock, select.POLLIN)
        return bool(waiting.poll(0))

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
        self._sock = None

    def _receive(self) -> bytes:
        """Return what has come; each wait may take what is left of the call's time."""
        if self._sock is None:
            raise http.client.NotConnected
        self._sock.settimeout(self._left())
        return self._sock.recv(_PIECE)

    def _left(self) -> float:
        seconds = self._ends_at - self._monotonic()
        if seconds <= 0:
            raise TimeoutError("the call's total time is over")
        return seconds


def _request(
    method: str, parts: SplitResult, headers: Mapping[str, str], body: bytes | None
) -> bytes:
    """Return a request's bytes; raises ``ValueError`` for what would end a line early."""
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [
        f"{method} {target} HTTP/1.1",
        f"Host: {parts.netloc.rpartition('@')[2]}",
        "Accept-Encoding: identity",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    if any(_ENDS_A_LINE.search(line) for line in lines) or " " in target:
        raise ValueError("a header or an address of the request holds a sign that would end it")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


class DeadlineHttp:
    """Calls one host from many threads. Nothing is repeated and no redirect followed."""

    def __init__(
        self, timeouts: Timeouts | None = None, monotonic: Callable[[], float] | None = None
    ) -> None:
        """Use these limits; `monotonic` is for tests."""
        self._timeouts = timeouts or Timeouts()
        self._monotonic = monotonic or SystemClock().monotonic
        self._local = threading.local()
        self._all: list[_Connection] = []
        self._lock = threading.Lock()

    def call(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Return status, headers and body; raises ``CallFailed``."""
        parts = urlsplit(url)
        connection = self._of_thread(parts)
        request = _request(method, parts, headers, body)
        ends_at = self._monotonic() + self._timeouts.total
        self._ready(connection)
        try:
            answer = connection.exchange(request, ends_at)
        except TimeoutError as error:
            connection.close()
            raise CallFailed("timeout", "no complete answer in time", sent=True) from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            why = str(error) or type(error).__name__
            raise CallFailed("reset", f"the connection broke: {why}", sent=True) from error
        return answer.status, answer.headers, answer.body

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            for connection in self._all:
                connection.close()
            self._all.clear()
        self._local = threading.local()

    def _ready(self, connection: _Connection) -> None:
        if connection.is_open and not connection.was_closed_by_peer():
            return
        connection.close()
        try:
            connection.open(self._timeouts)
        except OSError as error:
            connection.close()
            raise CallFailed("connect", f"cannot connect: {error}", sent=False) from error

    def _of_thread(self, parts: SplitResult) -> _Connection:
        known: dict[tuple[str, str], _Connection] | None = getattr(self._local, "open", None)
        if known is None:
            known = self._local.open = {}
        key = (parts.scheme, parts.netloc)
        if key not in known:
            context = ssl.create_default_context() if parts.scheme == "https" else None
            known[key] = _Connection(parts, context, self._monotonic)
            with self._lock:
                self._all.append(known[key])
        return known[key]
