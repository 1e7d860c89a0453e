"""HTTP calls to addresses that other people chose: only to the public network, and only in time.

The name is looked up once, every answer is checked, and the connection goes to the very address
that was checked; Host, SNI and certificate keep the name. No redirect is followed, no proxy of the
environment used, no compression undone. One deadline stands over looking up, connecting, TLS,
sending and the last byte that is read, however slowly bytes come.

The seam is urllib3's `_new_conn`, where a connection gets its socket.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from meet2be.integrations.guarded_addresses import AddressRules
from meet2be.integrations.guarded_dns import LookUpFailed, Resolver
from meet2be.integrations.guarded_urls import RefusedUrl, Target, UrlRules, target_of
from meet2be.language import Message
from onqueue.clock import SystemClock

if TYPE_CHECKING:
    from urllib3._base_connection import BaseHTTPConnection

MOST_READ: Final = 64 * 1024
MOST_ADDRESSES: Final = 4
"""How many addresses of a name are tried, one after the other, within the time to connect."""
MOST_INTERIM: Final = 8
"""How many 1xx answers may come before the real one."""
_CHUNK: Final = 16 * 1024


class HookCallFailed(Exception):
    """No usable answer came.

    ``code`` is ``refused`` (the address must not be called), ``dns``, ``connect``, ``tls``,
    ``timeout``, ``reset`` or ``unparsable``; ``address`` is where the call went, if anywhere.
    """

    def __init__(self, code: str, why: str, address: str | None = None) -> None:
        self.code, self.address = code, address
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: ``body`` is what was read of it, as sent; ``truncated`` when there is more.

    ``address`` is the one that was called.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool
    address: str


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Seconds to look up and connect, and for the whole call; bytes that are read."""

    connect: float = 5.0
    total: float = 15.0
    most_read: int = MOST_READ


@dataclass(slots=True)
class _Call:
    """One call under way: when it must be over, and which sockets it has opened."""

    resolver: Resolver
    rules: AddressRules
    monotonic: Callable[[], float]
    connect_by: float
    ends_at: float
    address: str | None = None
    sockets: list[socket.socket] = field(default_factory=list)

    def left(self, until: float | None = None) -> float:
        """Return the seconds that are left; raises ``TimeoutError`` for none."""
        end = self.ends_at if until is None else min(until, self.ends_at)
        seconds = end - self.monotonic()
        if seconds <= 0:
            raise TimeoutError("the time for the call is over")
        return seconds

    def close(self) -> None:
        for each in self.sockets:
            each.close()


_call: ContextVar[_Call] = ContextVar("meet2be_guarded_call")


class _DeadlineReader(io.RawIOBase):
    """The receiving side of a socket; each read may take what is left of the call's time."""

    def __init__(self, call: _Call, sock: socket.socket) -> None:
        super().__init__()
        self._call, self._sock = call, sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._call.left())
        return self._sock.recv_into(buffer)


class _DeadlineSocket:
    """Stands between `http.client` and a connected socket and lends it the time that is left."""

    def __init__(self, call: _Call, sock: socket.socket) -> None:
        self._call, self._sock = call, sock

    def sendall(self, data: bytes) -> None:
        # In pieces, because TLS counts its time-out anew for each record that it sends.
        view = memoryview(data)
        for start in range(0, len(view), _CHUNK):
            self._sock.settimeout(self._call.left())
            self._sock.sendall(view[start : start + _CHUNK])

    def makefile(self, _mode: str, *_arguments: object) -> io.BufferedReader:
        return io.BufferedReader(_DeadlineReader(self._call, self._sock))

    def fileno(self) -> int:
        return self._sock.fileno()

    def settimeout(self, _seconds: float | None) -> None:
        """Do nothing: the call's deadline decides."""

    def close(self) -> None:
        """Do nothing: `http.client` says this before the body was read; the call closes it."""


class _PlainAnswers(http.client.HTTPResponse):
    """Passes over all interim answers (1xx), where the library knows of 100 only."""

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(MOST_INTERIM):
            found = super()._read_status()  # type: ignore[misc]
            version, status, reason = cast("tuple[str, int, str]", found)
            if not 100 <= status < 200 or status == http.client.SWITCHING_PROTOCOLS:
                return version, status, reason
            http.client.parse_headers(self.fp)
        raise http.client.HTTPException(f"more than {MOST_INTERIM} interim answers")


def _checked_socket(host: str, port: int) -> socket.socket:
    """Return a socket that is connected to a checked address of the host."""
    call = _call.get()
    addresses = call.resolver.addresses(host, port, call.left(call.connect_by))
    for address in addresses:
        why = call.rules.why_not(address)
        if why is not None:
            raise HookCallFailed(
                "refused", f"'{host}' is at {address}, which must not be called: {why}",
                str(address),
            )  # fmt: skip
    error: OSError = OSError("no address")
    for address in addresses[:MOST_ADDRESSES]:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        sock = socket.socket(family, socket.SOCK_STREAM)
        call.sockets.append(sock)
        call.address = str(address)
        try:
            sock.settimeout(call.left(call.connect_by))
            sock.connect((str(address), port))
        except OSError as failed:
            sock.close()
            error = failed
            continue
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock
    if isinstance(error, TimeoutError):
        raise HookCallFailed("timeout", "no connection in time", call.address) from error
    why_not = error.strerror or str(error)
    raise HookCallFailed("connect", f"cannot connect: {why_not}", call.address) from error


class GuardedConnection(HTTPConnection):
    """A connection to a checked address, without TLS."""

    response_class = _PlainAnswers

    def _new_conn(self) -> socket.socket:
        return _checked_socket(self.host, self.port)

    def connect(self) -> None:
        """Connect; from then on the call's deadline stands over every byte."""
        super().connect()
        self.sock = cast("socket.socket", _DeadlineSocket(_call.get(), self.sock))


class GuardedTlsConnection(HTTPSConnection):
    """A connection to a checked address; the certificate must be the name's."""

    response_class = _PlainAnswers

    def _new_conn(self) -> socket.socket:
        return _checked_socket(self.host, self.port)

    def connect(self) -> None:
        """Connect and shake hands within what is left of the call's time."""
        call, sock = _call.get(), self._new_conn()
        sock.settimeout(call.left())
        context = cast("ssl.SSLContext", self.ssl_context)
        secure = context.wrap_socket(sock, server_hostname=self.host)
        call.sockets.append(secure)
        self.sock = cast("socket.socket", _DeadlineSocket(call, secure))
        self.is_verified = True


class _Pool(HTTPConnectionPool):
    """Keeps no connection for a later call: each call has its own deadline, and its own check."""

    ConnectionCls = GuardedConnection

    def _put_conn(self, conn: BaseHTTPConnection | None) -> None:
        _end(conn)


class _TlsPool(HTTPSConnectionPool):
    """The same with TLS."""

    ConnectionCls = GuardedTlsConnection

    def _put_conn(self, conn: BaseHTTPConnection | None) -> None:
        _end(conn)


def _end(connection: BaseHTTPConnection | None) -> None:
    if connection is not None:
        connection.close()


class GuardedAdapter(HTTPAdapter):
    """A transport of `requests` whose every connection is checked.

    It works inside `GuardedHttp.post` only, which gives each call its deadline; without one it
    connects to nothing.
    """

    def __init__(self, ca_file: str | None = None) -> None:
        """Trust the usual authorities, or those of a file only."""
        self._context = ssl.create_default_context(cafile=ca_file)
        super().__init__(pool_connections=256, pool_maxsize=1)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **options: Any  # noqa: FBT001, FBT002 -- the signature is requests'
    ) -> None:  # fmt: skip
        """Make pools of checked connections; their TLS context is made once."""
        self.poolmanager = PoolManager(
            connections, maxsize=maxsize, block=block, ssl_context=self._context, **options
        )
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, *_arguments: Any, **_options: Any
    ) -> HTTPConnectionPool:
        """Return the pool of a request's host: never a proxy's, never without verification."""
        return cast("HTTPConnectionPool", self.poolmanager.connection_from_url(request.url or ""))

    def cert_verify(self, *_arguments: Any, **_options: Any) -> None:
        """Leave the pool's TLS as it is: it verifies, and nobody can switch that off."""


class GuardedHttp:
    """Posts to addresses that other people chose; safe to be used by many threads."""

    def __init__(
        self,
        urls: UrlRules | None = None,
        addresses: AddressRules | None = None,
        *,
        limits: CallLimits | None = None,
        resolver: Resolver | None = None,
        ca_file: str | None = None,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        """Call public addresses by https on port 443, unless the rules say more."""
        self.urls = urls or UrlRules()
        self.addresses = addresses or AddressRules()
        self._limits = limits or CallLimits()
        self._resolver = resolver or Resolver()
        self._monotonic = monotonic or SystemClock().monotonic
        self._adapter = GuardedAdapter(ca_file)

    def check(self, url: str) -> Target:
        """Return an address in its one form; raises ``RefusedUrl`` when it must not be called.

        What it leads to is looked up now, to tell at once; each call checks anew.
        """
        target = target_of(url, self.urls)
        values: dict[str, object] = {"host": target.host}
        try:
            found = self._resolver.addresses(target.host, target.port, self._limits.connect)
        except LookUpFailed:
            raise RefusedUrl(Message("The host '%(host)s' cannot be found.", values)) from None
        if any(self.addresses.why_not(address) is not None for address in found):
            raise RefusedUrl(
                Message("'%(host)s' is not on the public network and must not be called.", values)
            )
        return target

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send ``body`` and return what came back; raises ``HookCallFailed``."""
        now = self._monotonic()
        call = _Call(
            self._resolver,
            self.addresses,
            self._monotonic,
            now + self._limits.connect,
            now + self._limits.total,
        )
        token = _call.set(call)
        try:
            target = target_of(url, self.urls)
            return self._exchange(call, target, headers, body)
        except RefusedUrl as error:
            raise HookCallFailed("refused", str(error)) from error
        except HookCallFailed:
            raise
        except LookUpFailed as error:
            raise HookCallFailed("timeout" if error.is_late else "dns", str(error)) from error
        except Exception as error:
            raise _translated(error, call.address) from error
        finally:
            _call.reset(token)
            call.close()

    def close(self) -> None:
        """Forget what is kept of other hosts."""
        self._adapter.close()

    def _exchange(
        self, call: _Call, target: Target, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        request = requests.Request("POST", target.url, headers=dict(headers), data=body).prepare()
        request.headers["Connection"] = "close"
        request.headers["Accept-Encoding"] = "identity"
        response = self._adapter.send(request, stream=True, proxies={})
        read, most = bytearray(), self._limits.most_read
        while len(read) <= most:
            piece = response.raw.read(min(_CHUNK, most + 1 - len(read)), decode_content=False)
            if not piece:
                break
            read += piece
        return Answer(
            response.status_code,
            {name.lower(): value for name, value in response.headers.items()},
            bytes(read[:most]),
            len(read) > most,
            call.address or "",
        )


def _translated(error: Exception, address: str | None) -> HookCallFailed:
    """Return what a library's error comes to; its causes say more than itself."""
    for cause in _causes(error):
        if isinstance(cause, HookCallFailed):
            return cause
        if isinstance(cause, LookUpFailed):
            return HookCallFailed("timeout" if cause.is_late else "dns", str(cause), address)
        for kind, code, words in _MEANINGS:
            if isinstance(cause, kind) and not isinstance(cause, requests.RequestException):
                return HookCallFailed(code, words(cause), address)
    if isinstance(error, OSError | HTTPError | ValueError):
        return HookCallFailed("reset", "the connection broke", address)
    raise error


# The first that fits; a certificate's error is one of TLS, and a hang-up one of HTTP.
_MEANINGS: Final[tuple[tuple[type[BaseException], str, Callable[[Any], str]], ...]] = (
    (TimeoutError, "timeout", lambda _: "no complete answer in time"),
    (ssl.SSLCertVerificationError, "tls", lambda error: f"the certificate: {error.verify_message}"),
    (ssl.SSLError, "tls", lambda error: f"no secure connection: {error.reason}"),
    (ConnectionError, "reset", lambda _: "the other side hung up"),
    (http.client.IncompleteRead, "reset", lambda _: "the other side hung up"),
    (http.client.HTTPException, "unparsable", lambda _: "the answer is not HTTP"),
)


def _causes(error: BaseException) -> list[BaseException]:
    """Return an error and all it was made from, the innermost first."""
    found: list[BaseException] = []
    queue: list[BaseException | None] = [error]
    while queue:
        each = queue.pop(0)
        if each is None or each in found:
            continue
        found.append(each)
        queue += [each.__cause__, each.__context__]
        queue += [part for part in each.args if isinstance(part, BaseException)]
        reason = getattr(each, "reason", None)
        queue.append(reason if isinstance(reason, BaseException) else None)
    return found[::-1]
