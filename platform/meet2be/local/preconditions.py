"""What must hold before a local platform is started, told before anything is changed."""

from __future__ import annotations

import fcntl
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from meet2be.errors import Meet2BeError
from meet2be.local.environment import LOOPBACK, ROOT, LocalPlatform

LONGEST_SOCKET_PATH = 100
# Supervisor splits commands at blanks, formats with %, and takes " ;" for a comment.
UNFIT = " \t\n%\"';\\"
SOCKET_NAME = "supervisor.sock"


class StackError(Meet2BeError):
    """The local platform could not be started or stopped."""


def check_folder(var: Path) -> None:
    """Raise ``StackError`` when Supervisor could not work with these folders' names."""
    length = len(str(var / SOCKET_NAME).encode())
    if length > LONGEST_SOCKET_PATH:
        raise StackError(
            f"the folder '{var}' is too deep for unix sockets "
            f"({length} bytes, {LONGEST_SOCKET_PATH} fit): set VAR_DIR to a shorter one"
        )
    for path, remedy in (
        (var, "set VAR_DIR to another one"),
        (ROOT, "move the checkout"),
        (Path(sys.executable).parent, "make the virtual environment elsewhere"),
    ):
        unfit = sorted(set(UNFIT).intersection(str(path)))
        if unfit:
            raise StackError(
                f"the folder '{path}' has {unfit[0]!r} in its name, which Supervisor's files "
                f"cannot take: {remedy}"
            )


def check_ports(platform: LocalPlatform) -> None:
    """Raise ``StackError`` when another program listens on a port of this platform."""
    anew = "remove 'ports.json' in VAR_DIR, and another one is chosen"
    for port, whose, remedy in (
        (platform.web_port, "the web pages", "stop what uses it, or set WEB_PORT"),
        (platform.provider_port, "the payment provider", anew),
        (platform.mail_port, "the mail server", anew),
        (platform.mail_control_port, "the mail server's ledger", anew),
    ):
        why = _refusal(port)
        if why:
            raise StackError(f"port {port} cannot be had for {whose} ({why}): {remedy}")


def _refusal(port: int) -> str:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError as error:
            return error.strerror or str(error)
    return ""


@contextmanager
def alone(lock: Path, *, otherwise: str = "") -> Iterator[None]:
    """Hold a lock file for the block; wait for it, or raise ``StackError(otherwise)`` if given.

    The lock ends with its process, however that ends.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if otherwise else 0))
        except BlockingIOError:
            raise StackError(otherwise) from None
        yield
