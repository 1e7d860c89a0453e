"""A worker that runs the code as it is: started anew whenever a source file changes."""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from onqueue.worker.processes import die_with
from onqueue.worker.unix_signals import ParentSignals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

log = logging.getLogger("onqueue.worker")

_SKIPPED: Final = frozenset({"__pycache__", "node_modules", "site-packages"})
_STARTED_AGAIN: Final = frozenset({0, 12})
"""Exit codes after which a worker is simply started anew: it was told to restart, or grew."""


def sources(places: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """Return the Python files below some places, each with its time of change and its size."""
    found = {}
    for path in _files(places):
        try:
            facts = path.stat()
        except OSError:  # it went away just now
            continue
        found[path] = (facts.st_mtime_ns, facts.st_size)
    return found


def _files(places: Iterable[Path]) -> Iterator[Path]:
    for place in places:
        if place.is_file():
            yield place
        for folder, inner, names in os.walk(place):
            inner[:] = [name for name in inner if name not in _SKIPPED and name[0] != "."]
            yield from (Path(folder, name) for name in names if name.endswith(".py"))


def worker_command(argv: Sequence[str], dropped: Sequence[str]) -> list[str]:
    """Return the command line of this process with `work` in the place of `listen`.

    Of the rest, the `dropped` options go, with their values.
    """
    at = argv.index("listen")
    kept, rest = [], iter(argv[at + 1 :])
    for word in rest:
        name, equals, _ = word.partition("=")
        if name not in dropped:
            kept.append(word)
        elif not equals:
            next(rest, None)
    return [*argv[:at], "work", *kept]


class Listener:
    """Keeps one worker process and replaces it; belongs in the main thread."""

    def __init__(
        self,
        command: Sequence[str],
        places: Sequence[Path],
        *,
        poll: float = 1.0,
        ends_with_worker: bool = False,
    ) -> None:
        """Look at the places every `poll` seconds.

        A worker that ends by itself is started anew, unless the listener is to end with it.
        """
        self._command = list(command)
        self._places = places
        self._poll = poll
        self._ends_with_worker = ends_with_worker
        self._worker: subprocess.Popen[bytes] | None = None
        self._told = 0
        self._is_paused = False
        self._is_stale = False
        self._is_broken = False

    def run(self) -> int:
        """Work until a signal says so, or the worker ends for good; return its exit code."""
        with ParentSignals() as signals:
            known = sources(self._places)
            if not known:
                places = ", ".join(map(str, self._places))
                log.warning("there is no Python file to watch in %s, so no change is seen", places)
            self._start()
            poller = select.poll()
            poller.register(signals.wakeup, select.POLLIN)
            while True:
                poller.poll(self._poll * 1000)
                signals.wakeup.drain()
                self._pass_on(signals)
                now = sources(self._places)
                if now != known:
                    self._renew(_difference(known, now))
                    known = now
                code = self._ended()
                if code is not None and self._is_over(code, signals):
                    return code

    def _is_over(self, code: int, signals: ParentSignals) -> bool:
        """Tell whether this end of the worker is the last one; else start another, or none yet."""
        if signals.stops or (self._ends_with_worker and not self._is_stale):
            return True
        if self._is_stale or code in _STARTED_AGAIN:
            self._start()
        elif not self._is_broken:
            self._is_broken = True
            log.error("the worker ended with %d: a change starts it anew", code)
        return False

    def _start(self) -> None:
        parent = os.getpid()
        # A session of its own: what the terminal sends comes by way of this process, once.
        self._worker = subprocess.Popen(
            self._command,
            start_new_session=True,
            preexec_fn=lambda: die_with(parent),  # noqa: PLW1509 - there is one thread
        )
        self._told, self._is_paused = 0, False
        self._is_stale = self._is_broken = False

    def _ended(self) -> int | None:
        return None if self._worker is None else self._worker.poll()

    def _pass_on(self, signals: ParentSignals) -> None:
        """Hand the worker what this process was told."""
        worker = self._worker
        if worker is None or worker.poll() is not None:
            return
        while self._told < signals.stops:
            self._told += 1
            worker.send_signal(signals.last)
        if self._is_paused != signals.paused:
            self._is_paused = signals.paused
            worker.send_signal(signal.SIGUSR2 if signals.paused else signal.SIGCONT)

    def _renew(self, changed: Path) -> None:
        """Let the worker finish its jobs; another follows."""
        if not self._is_stale:
            log.warning("%s changed: the worker is started anew", changed)
        if self._worker is not None and self._ended() is None and not self._is_stale:
            self._worker.terminate()
        self._is_stale = True


def _difference(before: dict[Path, tuple[int, int]], now: dict[Path, tuple[int, int]]) -> Path:
    """Return one of the files that are new, gone or changed."""
    return min(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))
