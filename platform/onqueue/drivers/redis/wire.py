"""The way to the server: packed bytes out, bare replies in.

redis-py makes the connections (addresses, TLS, log-in) and parses replies; its command layer costs
several times what a job may cost, so commands are packed here.
"""

from __future__ import annotations

import os
import secrets
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

from redis import ConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import (
    ConnectionError as Disconnected,
)
from redis.exceptions import (
    NoScriptError,
    RedisError,
    ResponseError,
)
from redis.retry import Retry

from onqueue.drivers.redis.keys import Keys, bulk
from onqueue.drivers.redis.scripts import Call, Scripts
from onqueue.drivers.redis.translation import GONE, is_read_only, masked, translated
from onqueue.errors import BrokerMisconfigured

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from onqueue.config import ConnectionConfig

Reply: TypeAlias = Any
"""What the protocol can say: int, bytes, None or a list of these."""

MOST_IDLE = 32
"""Lines kept open for later calls of other threads."""

FIRST_WITH_FLAGS = (7, 0)
OLDEST = (6, 2)


def command(*parts: bytes) -> bytes:
    """Return a command packed for the wire."""
    return b"*%d\r\n" % len(parts) + b"".join(map(bulk, parts))


def packed(name: bytes, *bulks: bytes) -> bytes:
    """Return a command whose arguments are bulk strings already."""
    return b"*%d\r\n%b%b" % (1 + len(bulks), bulk(name), b"".join(bulks))


_SILENCE = command(b"CLIENT", b"REPLY", b"OFF")
_SPEAK = command(b"CLIENT", b"REPLY", b"ON")


class Socket(Protocol):
    """The part of redis-py's connections that is used here."""

    _sock: Any

    def connect(self) -> None:
        """Connect and log in."""
        ...

    def disconnect(self) -> None:
        """Close."""
        ...

    def send_packed_command(self, command: Sequence[bytes], *, check_health: bool) -> None:
        """Send bytes."""
        ...

    def read_response(self, disable_decoding: bool) -> Reply:  # noqa: FBT001 - not ours
        """Read one reply; raises those that are errors."""
        ...


def _always(_told: bytes) -> bool:
    return True


class Line:
    """One socket, used by one thread at a time; connects when used, anew after a fork.

    What was told without waiting for an answer is kept until the next answered trip and told again
    when the socket breaks in between: it must be harmless to tell twice.
    """

    def __init__(
        self,
        make: Callable[[], Socket],
        forms: Forms,
        send: Callable[[Any, bytes], bytes] | None = None,
        counts: Callable[[bytes], bool] = _always,
    ) -> None:
        """Connect with `make` when first used.

        `send` sends in another way, and returns what it could not send. `counts` says of what was
        told whether it is still to be told again.
        """
        self._send = send
        self._counts = counts
        self._make = make
        self._forms = forms
        self._socket: Socket | None = None
        self._pid = 0
        self._silent = False
        self._can_be_silent = True
        self._told: list[bytes] = []
        self.token = secrets.token_hex(8).encode()
        self.sequence = 0

    def open(self) -> Socket:
        """Return the socket, connected; raises what redis-py raises."""
        if self._socket is None or self._pid != os.getpid():
            self._silent = False
            self._pid = os.getpid()
            socket = self._make()
            socket.connect()
            if again := [told for told in self._told if self._counts(told)]:
                self._tell(socket, b"".join(again))
            self._socket = socket
        return self._socket

    def drop(self) -> None:
        """Close the socket; the next use connects again."""
        socket, self._socket, self._silent = self._socket, None, False
        if socket is not None and self._pid == os.getpid():
            socket.disconnect()

    def fileno(self) -> int:
        """Return the file descriptor to watch."""
        return int(self.open()._sock.fileno())  # noqa: SLF001 - redis-py has no public way

    def send(self, packed: bytes) -> None:
        """Send bytes whose replies `receive` is to read."""
        socket = self.open()
        if self._silent:
            self._put(socket, _SPEAK + packed)
            self._silent = False
            socket.read_response(True)
        else:
            self._put(socket, packed)

    def _put(self, socket: Socket, packed: bytes) -> None:
        rest = packed
        if self._send is not None:
            rest = self._send(socket._sock, packed)  # noqa: SLF001 - see fileno
        if rest:
            socket.send_packed_command((rest,), check_health=False)

    def receive(self) -> Reply:
        """Read one reply; raises `ResponseError` for an error reply."""
        return cast("Socket", self._socket).read_response(True)

    def ask(self, packed: bytes) -> Reply:
        """Send one command and read its reply."""
        self.send(packed)
        reply = self.receive()
        if self._told:
            self._told.clear()
        return reply

    def ask_all(self, packed: Sequence[bytes]) -> list[Reply]:
        """Send commands at once; error replies are among the returned ones."""
        self.send(b"".join(packed))
        replies = []
        for _ in packed:
            try:
                replies.append(self.receive())
            except ResponseError as error:
                replies.append(error)
        self._told.clear()
        return replies

    def tell(self, packed: bytes) -> None:
        """Send a command, its answer unwanted; for workers, whose forks end before that."""
        self._told.append(packed)
        try:
            socket = self._socket or self.open()
            if not self._silent:
                self._tell(socket, packed)
            else:
                self._put(socket, packed)
        except GONE:
            self.drop()
            self._tell_anew()

    def _tell_anew(self) -> None:
        try:
            self.open()
        except BaseException:
            self._told.pop()  # the caller learns that it was not told, so it must never be
            raise

    def _tell(self, socket: Socket, packed: bytes) -> None:
        if self._can_be_silent:
            self._can_be_silent = self._may_be_silent(socket)
        if self._can_be_silent:
            socket.send_packed_command((_SILENCE + packed,), check_health=False)
            self._silent = True
        else:
            socket.send_packed_command((packed,), check_health=False)
            for _ in range(packed.count(b"LREM\r\n")):
                socket.read_response(True)

    def _may_be_silent(self, socket: Socket) -> bool:
        if self._forms.silence is None:
            socket.send_packed_command((_SPEAK,), check_health=False)
            try:
                socket.read_response(True)
                self._forms.silence = True
            except ResponseError:  # an ACL without CLIENT
                self._forms.silence = False
        return self._forms.silence

    def run(self, call: Call) -> Reply:
        """Run a script; it is loaded first where the server does not know it."""
        form = self._forms.of(self)
        try:
            return self.ask(call.packed(form))
        except NoScriptError:
            self.ask(command(b"SCRIPT", b"LOAD", call.script.source[form]))
            return self.ask(call.packed(form))

    def run_all(self, calls: Sequence[Call]) -> list[Reply]:
        """Run scripts in one trip; raises the first error when all have answered."""
        form = self._forms.of(self)
        replies = self.ask_all([call.packed(form) for call in calls])
        for at, call in enumerate(calls):
            if isinstance(replies[at], NoScriptError):
                replies[at] = self.run(call)
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise reply
        return replies


class Forms:
    """What the server of a connection can do, asked once."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.silence: bool | None = None
        self._form: int | None = None

    def of(self, line: Line) -> int:
        """Return 1 when scripts may carry a header of flags (7.0 and newer), else 0."""
        if self._form is None:
            try:
                version = server_version(server_facts(line.ask(command(b"INFO", b"server"))))
            except ResponseError:  # an ACL without INFO: the plain form runs everywhere
                version = OLDEST
            self._form = int(version >= FIRST_WITH_FLAGS)
        return self._form


def server_facts(text: bytes) -> dict[str, str]:
    """Return what INFO says."""
    lines = text.decode(errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def server_version(facts: dict[str, str]) -> tuple[int, int]:
    """Return the version of Redis whose commands the server knows; Valkey names one, too."""
    major, minor, *_ = [*facts.get("redis_version", "0.0").split("."), "0"]
    return (int(major), int(minor))


class Broker:
    """The server of one connection, with the lines to it."""

    def __init__(self, config: ConnectionConfig, scripts: Scripts | None = None) -> None:
        """Connect to nothing yet; `scripts` of another broker share its clock's offset."""
        self.name = config.name
        self.address = masked(config.url)
        self.scripts = scripts or Scripts(Keys(config.prefix))
        self.keys = self.scripts.keys
        self._url = config.url
        self._deadline = config.deadline
        self._pool: ConnectionPool | None = None
        self._forms = Forms()
        self._idle: deque[Line] = deque()
        self._pid = os.getpid()

    def line(
        self,
        send: Callable[[Any, bytes], bytes] | None = None,
        counts: Callable[[bytes], bool] = _always,
    ) -> Line:
        """Return a new line of the caller's own; `send` and `counts` as in `Line`."""
        return Line(self._socket, self._forms, send, counts)

    def _socket(self) -> Socket:
        if not self._url:
            why = "it has no 'url': give one such as 'redis://127.0.0.1:6379/0'"
            raise BrokerMisconfigured(self.name, "nowhere", why)
        if self._pool is None:
            try:
                self._pool = ConnectionPool.from_url(
                    self._url,
                    protocol=2,
                    retry=Retry(NoBackoff(), 0),
                    socket_timeout=self._deadline,
                    socket_connect_timeout=self._deadline,
                )
            except ValueError as error:
                raise BrokerMisconfigured(self.name, self.address, f"{error}") from error
        pool = self._pool
        return cast("Socket", pool.connection_class(**pool.connection_kwargs))

    def borrow(self) -> Line:
        """Return an idle line or a new one; give it back with `give_back`."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._idle = deque()
        try:
            return self._idle.pop()
        except IndexError:
            return self.line()

    def give_back(self, line: Line) -> None:
        """Keep a line for the next caller."""
        if len(self._idle) < MOST_IDLE:
            self._idle.append(line)
        else:
            line.drop()

    def close(self) -> None:
        """Close all idle lines."""
        while self._idle:
            self._idle.pop().drop()

    def use(self, act: Callable[[Line, bool], Reply]) -> Reply:
        """Do `act` on a line, once more (told so) on a fresh one when the line was cut.

        Raises errors of the core. A server that does not answer within the deadline is not asked
        twice.
        """
        line = self.borrow()
        with self.translating():
            try:
                reply = act(line, False)
            except Disconnected:
                self.close()
                line.drop()
                reply = self._again(act, line)
            except RedisError as error:
                self._part(line, error)
                raise
            except BaseException:
                line.drop()
                raise
        self.give_back(line)
        return reply

    def _again(self, act: Callable[[Line, bool], Reply], line: Line) -> Reply:
        try:
            return act(line, True)
        except BaseException:
            line.drop()
            raise

    def _part(self, line: Line, error: RedisError) -> None:
        read_only = is_read_only(error)
        if read_only:  # the primary is another one by now: look it up anew
            self.close()
        if isinstance(error, ResponseError) and not read_only:
            self.give_back(line)
        else:
            line.drop()

    def run(self, call: Call) -> Reply:
        """Run a script that is harmless to run twice."""
        return self.use(lambda line, _: line.run(call))

    def ask(self, *packed: bytes) -> list[Reply]:
        """Send commands that are harmless to send twice; raises for error replies."""
        replies: list[Reply] = self.use(lambda line, _: line.ask_all(packed))
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise translated(reply, self.name, self.address) from reply
        return replies

    def translating(self) -> Translating:
        """Return a context in which the client library's errors become the core's."""
        return Translating(self.name, self.address)


class Translating:
    """A context in which the client library's errors become the core's."""

    __slots__ = ("_address", "_name")

    def __init__(self, name: str, address: str) -> None:
        """Name the connection and its masked address."""
        self._name, self._address = name, address

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raise the translated error."""
        if isinstance(error, RedisError | OSError):
            raise translated(error, self._name, self._address) from error
