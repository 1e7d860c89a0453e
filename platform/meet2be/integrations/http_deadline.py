"""HTTP calls that end in time: one kept connection a thread, one deadline a call.

A library's time-out counts from byte to byte, so that a peer that drips can hold a call for ever.
Here every wait of a call, from connecting to the last byte, takes from one total. It is also
lean: a refund costs a third of the processor time that `requests` needs for it.
"""

from __future__ import annotations

import http.client
import io
import select
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from onqueue.clock import SystemClock

MAX_BODY = 4 * 1024 * 1024


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


class _DeadlineIO(io.RawIOBase):
    """The receiving side of a socket; each read may take what is left of the call's time."""

    def __init__(self, owner: _Deadline, sock: socket.socket) -> None:
        super().__init__()
        self._owner, self._sock = owner, sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._owner.left())
        return self._sock.recv_into(buffer)


class _Deadline:
    """Stands between `http.client` and the socket and lends it the time that is left."""

    def __init__(self, sock: socket.socket, monotonic: Callable[[], float]) -> None:
        self._sock, self._monotonic = sock, monotonic
        self.ends_at = 0.0

    def left(self) -> float:
        seconds = self.ends_at - self._monotonic()
        if seconds <= 0:
            raise TimeoutError("the call's total time is over")
        return seconds

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(self.left())
        self._sock.sendall(data)

    def fileno(self) -> int:
        return self._sock.fileno()

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_DeadlineIO(self, self._sock))

    def close(self) -> None:
        """Do nothing: `http.client` says this before the body of a last answer was read."""

    def hang_up(self) -> None:
        self._sock.close()


class _Connection:
    """One kept connection of one thread to one host."""

    def __init__(self, parts: SplitResult, context: ssl.SSLContext | None) -> None:
        self._parts, self._context = parts, context
        self._http: http.client.HTTPConnection | None = None
        self._deadline: _Deadline | None = None

    @property
    def is_open(self) -> bool:
        return self._http is not None and self._http.sock is not None

    def open(self, timeouts: Timeouts, monotonic: Callable[[], float]) -> None:
        host, port = self._parts.hostname or "", self._parts.port
        secure = self._context is not None
        connection = http.client.HTTPConnection(host, port or (443 if secure else 80))
        sock = socket.create_connection((connection.host, connection.port), timeouts.connect)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context is not None:
            sock = self._context.wrap_socket(sock, server_hostname=host)
        self._deadline = _Deadline(sock, monotonic)
        connection.sock = self._deadline
        self._http = connection

    def exchange(
        self, request: tuple[str, str, bytes | None, Mapping[str, str]], ends_at: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send one request and return status, headers (lower case) and body."""
        http_connection, deadline = self._http, self._deadline
        if http_connection is None or deadline is None:
            raise http.client.NotConnected
        deadline.ends_at = ends_at
        method, target, body, headers = request
        http_connection.request(method, target, body, dict(headers))
        response = http_connection.getresponse()
        data = response.read(MAX_BODY)
        if not response.isclosed():
            raise http.client.HTTPException(f"an answer of more than {MAX_BODY} bytes")
        found = {name.lower(): value for name, value in response.getheaders()}
        if response.will_close:
            self.close()
        return response.status, found, data

    def was_closed_by_peer(self) -> bool:
        """Tell whether the idle connection has ended: what is sent on it would be lost."""
        if self._deadline is None:
            return True
        waiting = select.poll()
        waiting.register(self._deadline.fileno(), select.POLLIN)
        return bool(waiting.poll(0))

    def close(self) -> None:
        if self._http is not None:
            self._http.close()
        if self._deadline is not None:
            self._deadline.hang_up()
        self._http = self._deadline = None


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
        ends_at = self._monotonic() + self._timeouts.total
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        self._ready(connection)
        try:
            return connection.exchange((method, target, body, headers), ends_at)
        except TimeoutError as error:
            connection.close()
            raise CallFailed("timeout", "no complete answer in time", sent=True) from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            why = str(error) or type(error).__name__
            raise CallFailed("reset", f"the connection broke: {why}", sent=True) from error

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
            connection.open(self._timeouts, self._monotonic)
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
            known[key] = _Connection(parts, context)
            with self._lock:
                self._all.append(known[key])
        return known[key]
