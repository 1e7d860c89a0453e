"""Starting and stopping a whole local platform under Supervisor."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

import requests
from supervisor.xmlrpc import SupervisorTransport

from meet2be.config import process_environment
from meet2be.local.environment import ROOT, LocalPlatform
from meet2be.local.preconditions import SOCKET_NAME, StackError, check_folder, check_ports
from onqueue.clock import SystemClock
from onqueue.contracts import Clock

CONFIGURATION = ROOT / "infra" / "supervisor" / "local.conf"
STARTING_TAKES = 240.0
"""Seconds within which all is up: a dozen processes begin at once, on a machine with other work."""
RUNNING = 20  # Supervisor's state code of a process that is up


class LocalStack:
    """One local platform: Supervisor and all its programs."""

    def __init__(self, platform: LocalPlatform, clock: Clock | None = None) -> None:
        self.platform = platform
        self.clock = clock or SystemClock()
        check_folder(platform.var)
        self.socket = platform.var / SOCKET_NAME

    @property
    def is_running(self) -> bool:
        """Whether Supervisor answers."""
        try:
            self._call("getState")
        except (OSError, Fault):
            return False
        return True

    def start(self) -> None:
        """Start Supervisor, wait until all runs and the web answers; raises ``StackError``."""
        if self.is_running:
            raise StackError(
                f"a platform is already running in '{self.platform.var}': stop it with `make down`"
            )
        check_ports(self.platform)  # else the health of another platform would be taken for ours
        (self.platform.var / "log").mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(CONFIGURATION)]
        environment = process_environment() | self.platform.environment()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise StackError(
                f"Supervisor did not start: {(done.stderr or done.stdout).strip()[-2000:]}"
            )
        self.wait(self._all_running, STARTING_TAKES, "every program runs")
        self.wait(self.web_answers, STARTING_TAKES, "the web pages answer")

    def stop(self) -> None:
        """Ask Supervisor to stop everything and wait until it has; harmless when it is not up."""
        if not self.is_running:
            return
        pid = int(self._call("getPID"))
        self._call("shutdown")
        self.wait(lambda: not _is_alive(pid), 120, "Supervisor has stopped")

    def pids(self, program: str) -> list[int]:
        """Return the process ids of a program's running processes (for a worker: the parents)."""
        rows: list[dict[str, Any]] = self._call("getAllProcessInfo")
        return [row["pid"] for row in rows if row["group"] == program and row["state"] == RUNNING]

    def web_answers(self) -> bool:
        """Whether the health page says yes."""
        try:
            return requests.get(f"{self.platform.base_url}/health", timeout=5).ok
        except requests.RequestException:
            return False

    def wait(self, condition: Callable[[], bool], within: float, what: str) -> None:
        """Wait ``within`` seconds for ``condition``; raises ``StackError`` with the logs' ends."""
        deadline = self.clock.monotonic() + within
        while not condition():
            if self.clock.monotonic() > deadline:
                raise StackError(f"waited {within:.0f} s in vain until {what}.\n{self.log_tails()}")
            self.clock.sleep(0.1)

    def log_tails(self, lines: int = 15) -> str:
        """Return the last lines of each program's log."""
        parts = []
        for log in sorted((self.platform.var / "log").glob("*.log")):
            tail = log.read_text("utf-8", "replace").splitlines()[-lines:]
            parts.append("\n".join([f"--- {log.name}", *tail]))
        return "\n".join(parts)

    def _all_running(self) -> bool:
        try:
            rows: list[dict[str, Any]] = self._call("getAllProcessInfo")
        except OSError:
            return False
        return bool(rows) and all(row["state"] == RUNNING for row in rows)

    def _call(self, method: str) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        proxy = ServerProxy("http://127.0.0.1", transport=transport)
        try:
            return getattr(proxy.supervisor, method)()
        finally:
            transport.close()


def children_of(pid: int) -> list[int]:
    """Return the direct children of a process (Linux' ``/proc``)."""
    listing = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        return [int(word) for word in listing.read_text("ascii").split()]
    except OSError:
        return []


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
