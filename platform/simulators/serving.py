"""What both simulators do alike: one process per folder, its ports published, ended cleanly."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path


class FolderInUseError(RuntimeError):
    """Another process of the same simulator already serves this folder."""


@contextmanager
def only_process(data: Path) -> Iterator[None]:
    """Hold the folder for this process; two writers of one ledger would each be half right."""
    data.mkdir(parents=True, exist_ok=True)
    with (data / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"The folder '{data}' is already served; stop that process or choose another."
            raise FolderInUseError(message) from error
        yield


def publish(data: Path, name: str, port: int) -> None:
    """Write a port number to `data/name` in one step and say it on standard output."""
    temporary = data / f".{name}"
    temporary.write_text(f"{port}\n")
    temporary.replace(data / name)
    sys.stdout.write(f"{name} {port}\n")
    sys.stdout.flush()


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where a simulator serves and when it ends by itself."""
    parser.add_argument("--data", required=True, metavar="DIR", help="folder of the durable ledger")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one")
    parser.add_argument(
        "--end-with-stdin",
        action="store_true",
        help="stop when standard input is closed, so that no process outlives its starter",
    )


async def until_stopped(*, end_with_stdin: bool) -> None:
    """Return on SIGTERM or SIGINT, or when standard input ends, if that is asked for."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if end_with_stdin:
        descriptor = sys.stdin.fileno()

        def on_input() -> None:
            if not os.read(descriptor, 4096):
                loop.remove_reader(descriptor)
                stop.set()

        loop.add_reader(descriptor, on_input)
    await stop.wait()
