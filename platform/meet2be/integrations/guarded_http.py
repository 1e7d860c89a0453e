"""HTTP calls to addresses that other people chose: only to the public network, and only in time.

The name is looked up once a call, or was moments ago, every answer is checked, and the connection
goes to the very address that was checked; Host, SNI and certificate keep the name. No redirect is
followed, no proxy of the environment used, no compression undone. One deadline stands over looking
up, connecting, TLS, sending and the last byte that is read, however slowly bytes come.

It works on the socket itself: `requests` needs four times the processor's time for a call, and one
interpreter has to make hundreds of them a second. One thread waits for all sockets (`switchboard`).
"""

from __future__ import annotations

import http.client
import re
import select
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from errno import EINPROGRESS
from functools import cached_property, lru_cache
from os import strerror
from typing import Any, Final

from meet2be.integrations.guarded_addresses import Address, AddressRules
from meet2be.integrations.guarded_dns import LookUpFailed, Question, Resolver
from meet2be.integrations.guarded_urls import RefusedUrl, Target, UrlRules, target_of
from meet2be.integrations.http_answer import AnswerReader
from meet2be.integrations.switchboard import Pause, Steps, Switchboard, Then
from meet2be.language import Message
from onqueue.clock import SystemClock

MOST_READ: Final = 64 * 1024
MOST_ADDRESSES: Final = 4
"""How many addresses of a name are tried, one after the other, within the time to connect."""
_PIECE: Final = 16 * 1024
_ENDS_A_LINE: Final = re.compile(r"[\r\n\0]")
_REMEMBERED: Final = 4096


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
    opened: int = 0

    def left(self, until: float | None = None) -> float:
        """Return the seconds that are left; raises ``TimeoutError`` for none."""
        end = self.ends_at if until is None else min(until, self.ends_at)
        seconds = end - self.monotonic()
        if seconds <= 0:
            raise TimeoutError("the time for the call is over")
        return seconds

    def pause(self, what: socket.socket | Question, can: int, until: float | None = None) -> Pause:
        """Return what it must wait for: no longer than it may take."""
        end = self.ends_at if until is None else min(until, self.ends_at)
        return Pause(what, can, end, self.opened)

    def close(self) -> None:
        for each in self.sockets:
            each.close()


def _addresses(call: _Call, host: str, port: int) -> Steps[Sequence[Address]]:
    """Return the addresses of the host; raises ``HookCallFailed`` when one must not be called."""
    addresses = call.resolver.known(host, port)
    if addresses is None:
        question = call.resolver.ask(host, port)
        with suppress(TimeoutError):
            while not question.is_done:
                yield call.pause(question, 0, call.connect_by)
        addresses = call.resolver.keep(question, port)
    for address in addresses:
        why = call.rules.why_not(address)
        if why is not None:
            raise HookCallFailed(
                "refused", f"'{host}' is at {address}, which must not be called: {why}",
                str(address),
            )  # fmt: skip
    return addresses


def _connected(call: _Call, host: str, port: int) -> Steps[socket.socket]:
    """Return a socket that is connected to a checked address of the host."""
    addresses = yield from _addresses(call, host, port)
    error: OSError = OSError("no address")
    to_try = addresses[:MOST_ADDRESSES]
    for place, address in enumerate(to_try):
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        call.sockets.append(sock)
        call.opened += 1
        call.address = str(address)
        try:
            # One that swallows packets may use up its own share of the time only.
            share = call.left(call.connect_by) / (len(to_try) - place)
            yield from _connect(call, sock, (call.address, port), call.monotonic() + share)
        except OSError as failed:
            sock.close()
            error = failed
            continue
        return sock
    if isinstance(error, TimeoutError):
        raise HookCallFailed("timeout", "no connection in time", call.address) from error
    why_not = error.strerror or str(error)
    raise HookCallFailed("connect", f"cannot connect: {why_not}", call.address) from error


def _connect(call: _Call, sock: socket.socket, where: tuple[str, int], by: float) -> Steps[None]:
    code = sock.connect_ex(where)
    if code == EINPROGRESS:
        yield call.pause(sock, select.POLLOUT, by)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, strerror(code))


class _Wire:
    """A connection on which each wait may take what is left of the call's time."""

    def __init__(self, call: _Call, sock: socket.socket) -> None:
        self._call, self._sock = call, sock
        self._may_hold_more = False

    def secure(self, context: ssl.SSLContext, name: str) -> Steps[None]:
        """Shake hands; the certificate must be the name's."""
        sock = context.wrap_socket(self._sock, server_hostname=name, do_handshake_on_connect=False)
        self._call.sockets.append(sock)
        self._sock = sock
        self._may_hold_more = True
        yield from self._until_it_can(sock.do_handshake)

    def send(self, data: bytes) -> Steps[None]:
        """Send all of it."""
        view = memoryview(data)
        while view:
            view = view[(yield from self._until_it_can(self._sock.send, view[:_PIECE])) :]

    def receive(self) -> Steps[bytes]:
        """Return what has come, nothing at the end."""
        if not self._may_hold_more:  # a plain connection never read from: nothing can be there yet
            yield self._call.pause(self._sock, select.POLLIN)
            self._may_hold_more = True
        data: bytes = yield from self._until_it_can(self._sock.recv, _PIECE)
        return data

    def _until_it_can(self, act: Callable[..., Any], *given: Any) -> Steps[Any]:
        while True:
            self._call.left()  # also where it never has to wait
            try:
                return act(*given)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
                is_reading = isinstance(error, ssl.SSLWantReadError) or act == self._sock.recv
                event = select.POLLIN if is_reading else select.POLLOUT
            yield self._call.pause(self._sock, event)


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
        self._calls = Switchboard(self._monotonic)
        # Of a file that cannot be read one is told at once; the system's takes 30 ms when needed.
        self._own_authority = ssl.create_default_context(cafile=ca_file) if ca_file else None
        self._target = lru_cache(_REMEMBERED)(lambda url: target_of(url, self.urls))

    def check(self, url: str) -> Target:
        """Return an address in its one form; raises ``RefusedUrl`` when it must not be called.

        What it leads to is looked up now, to tell at once; each call checks anew.
        """
        target = target_of(url, self.urls)
        values: dict[str, object] = {"host": target.host}
        try:
            found = self._resolver.addresses(
                target.host, target.port, self._limits.connect, anew=True
            )
        except LookUpFailed:
            raise RefusedUrl(Message("The host '%(host)s' cannot be found.", values)) from None
        if any(self.addresses.why_not(address) is not None for address in found):
            raise RefusedUrl(
                Message("'%(host)s' is not on the public network and must not be called.", values)
            )
        return target

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send ``body`` and return what came back; raises ``HookCallFailed``."""
        came: list[tuple[Answer | None, Exception | None]] = []
        is_over = threading.Lock()
        is_over.acquire()

        def hear(answer: Answer | None, error: Exception | None) -> None:
            came.append((answer, error))
            is_over.release()

        self.start(url, headers, body, hear)
        is_over.acquire()
        answer, error = came[0]
        if answer is None:
            raise error or AssertionError("a call ends with an answer or an error")
        return answer

    def start(self, url: str, headers: Mapping[str, str], body: bytes, then: Then[Answer]) -> None:
        """Send ``body``, and have the switchboard's thread call ``then``, which raises nothing."""
        self._calls.begin(self._exchange(url, headers, body), then)

    @cached_property
    def _secured(self) -> ssl.SSLContext:
        """What connections are secured with."""
        return self._own_authority or ssl.create_default_context()

    def _exchange(self, url: str, headers: Mapping[str, str], body: bytes) -> Steps[Answer]:
        now, limits = self._monotonic(), self._limits
        call = _Call(
            self._resolver,
            self.addresses,
            self._monotonic,
            now + limits.connect,
            now + limits.total,
        )
        try:
            target = self._target(url)
            request = _request(target, headers, body)
            wire = _Wire(call, (yield from _connected(call, target.host, target.port)))
            if target.scheme == "https":
                yield from wire.secure(self._secured, target.host)
            yield from wire.send(request)
            reader = AnswerReader(limits.most_read, is_forgiving=True)
            while not reader.take((yield from wire.receive())):
                pass
            heard = reader.answer()
            return Answer(heard.status, heard.headers, heard.body, heard.is_cut, call.address or "")
        except RefusedUrl as error:
            raise HookCallFailed("refused", str(error)) from error
        except HookCallFailed:
            raise
        except LookUpFailed as error:
            raise HookCallFailed("timeout" if error.is_late else "dns", str(error)) from error
        except Exception as error:
            raise _translated(error, call.address) from error
        finally:
            call.close()


def _request(target: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return a request's bytes; raises ``ValueError`` for what would end a line early."""
    host, _, path = target.url.partition("://")[2].partition("/")
    lines = [
        f"POST /{path} HTTP/1.1",
        f"Host: {host}",
        "Accept-Encoding: identity",
        "Connection: close",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    if _ENDS_A_LINE.search("".join(lines)):
        raise ValueError("a header of the request holds a sign that would end it")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _translated(error: Exception, address: str | None) -> HookCallFailed:
    """Return what an error of the connection comes to; raises what is none."""
    for kind, code, words in _MEANINGS:
        if isinstance(error, kind):
            return HookCallFailed(code, words(error), address)
    raise error


# The first that fits; a certificate's error is one of TLS, and a hang-up one of HTTP.
_MEANINGS: Final[tuple[tuple[type[BaseException], str, Callable[[Any], str]], ...]] = (
    (TimeoutError, "timeout", lambda _: "no complete answer in time"),
    (ssl.SSLCertVerificationError, "tls", lambda error: f"the certificate: {error.verify_message}"),
    (ssl.SSLError, "tls", lambda error: f"no secure connection: {error.reason}"),
    (ConnectionError, "reset", lambda _: "the other side hung up"),
    (http.client.IncompleteRead, "reset", lambda _: "the other side hung up"),
    (http.client.HTTPException, "unparsable", lambda _: "the answer is not HTTP"),
    (OSError, "reset", lambda _: "the connection broke"),
    (ValueError, "reset", lambda _: "the connection broke"),
)
