"""Starts a system's worker and dispatcher in the right environment, and reads their CPU time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.given import Given
from bench.systems import System
from support.servers import dies_with_parent

TESTS = Path(__file__).resolve().parents[1]
_ALL_THREADS = 2
"""What Linux adds to a process's number to name the clock of all its threads' CPU time."""
_TICKS = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """Something broke, so that a figure is missing or would be wrong."""


@dataclass(frozen=True)
class Environments:
    """Where the programs of the systems are: ours beside this interpreter, the others apart."""

    peers: Path

    def program(self, system: System, name: str) -> str:
        """Return the path of a program for this system."""
        own = Path(sys.executable).parent
        return str((own if system.is_ours else self.peers / "bin") / name)


@dataclass(frozen=True)
class Place:
    """One run of a system: its directory with what it is told, and where its programs are."""

    system: System
    directory: Path
    environments: Environments
    given: Given

    def dispatch(self, what: str, first: int, last: int, seconds: float = 5.0) -> list[float]:
        """Run the dispatcher to its end; return its figures in seconds."""
        results = self.directory / "results.json"
        numbers = (str(first), str(last))
        rest = ("--seconds", str(seconds), "--to", str(results))
        self.python("bench.dispatch", self.system.app, what, *numbers, *rest)
        figures: list[float] = json.loads(results.read_text())
        return figures

    def python(self, module: str, *arguments: str) -> None:
        """Run a module in the system's environment to its end; raises when it fails."""
        command = [self.environments.program(self.system, "python"), "-m", module, *arguments]
        log = self.directory / "dispatch.log"
        with log.open("wb") as output:
            done = subprocess.run(
                [*dies_with_parent("KILL"), *command], cwd=self.directory, env=_environment(),
                stdout=output, stderr=output, check=False, timeout=600,
            )  # fmt: skip
        if done.returncode:
            tail = log.read_text(errors="replace")[-2000:]
            raise BenchError(f"'{module}' for {self.system.name} failed:\n{tail}")

    @contextmanager
    def worker(self, *more: str) -> Iterator[WorkerProcess]:
        """Run a worker until the block ends."""
        name, *arguments = [part.format(url=self.given.url) for part in self.system.command]
        command = [self.environments.program(self.system, name), *arguments, *more]
        log = self.directory / "worker.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*dies_with_parent("TERM"), *command], cwd=self.directory,
                env={**_environment(), **self.system.environment},
                stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        worker = WorkerProcess(self.system, process, log)
        try:
            yield worker
        finally:
            worker.stop()


@dataclass
class WorkerProcess:
    """A worker with its children, in a session of its own."""

    system: System
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raise when it has ended by itself."""
        if (code := self.process.poll()) is not None:
            tail = self.log.read_text(errors="replace")[-2000:]
            raise BenchError(f"The worker of {self.system.name} ended with {code}:\n{tail}")

    def cpu(self) -> float:
        """Return the CPU seconds that all its processes have taken."""
        return sum(_cpu_of(Path("/proc", entry), self.process.pid) for entry in _process_ids())

    def halt(self) -> None:
        """Have all its processes stand still, in whatever they do; for seconds, as leases go on."""
        os.killpg(self.process.pid, signal.SIGSTOP)

    def go(self) -> None:
        """Have them go on where they stood still."""
        os.killpg(self.process.pid, signal.SIGCONT)

    def stop(self) -> None:
        """Ask it to end, and make an end of what is left in its session."""
        self.process.terminate()
        if self.process.poll() is None:
            self.go()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for entry in _process_ids():
            if (
                entry != str(self.process.pid)
                and _session(Path("/proc", entry)) == self.process.pid
            ):
                os.kill(int(entry), signal.SIGKILL)


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of one process, 0 when it has ended.

    Its own clock counts nanoseconds, where `/proc` counts hundredths of a second.
    """
    try:
        return time.clock_gettime(~pid << 3 | _ALL_THREADS)
    except OSError:
        return 0.0


def _process_ids() -> list[str]:
    return [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _stat(folder: Path) -> list[str]:
    """Return the fields of a process's stat after its name, from the state on."""
    try:
        return (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:  # it ended meanwhile
        return []


def _session(folder: Path) -> int:
    fields = _stat(folder)
    return int(fields[3]) if fields else 0


def _cpu_of(folder: Path, session: int) -> float:
    """Return CPU seconds with those of ended children, 0 for a process of another session."""
    fields = _stat(folder)
    if not fields or int(fields[3]) != session:
        return 0.0
    ended = sum(int(ticks) for ticks in fields[13:15]) / _TICKS
    return cpu_seconds(int(folder.name)) + ended


def _environment() -> dict[str, str]:
    return {"PATH": os.defpath, "PYTHONPATH": str(TESTS), "PYTHONDONTWRITEBYTECODE": "1"}
