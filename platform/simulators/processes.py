"""The simulators as child processes: started on a free port, stopped, killed, started again."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from simulators.clock import pause
from simulators.control import MailSinkControl, ProviderControl

if TYPE_CHECKING:
    from types import TracebackType

SOURCE_ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0


class StartError(RuntimeError):
    """A simulator did not come up; its log's end is in the text."""


class SimulatorProcess:
    """One simulator in a process of its own; it also ends when its starter dies."""

    module = ""
    port_files: tuple[str, ...] = ("port",)

    def __init__(self, data: Path, options: list[str] | None = None) -> None:
        """Serve the folder `data` with more command line `options`; nothing runs yet."""
        self.data = Path(data).resolve()
        self.options = options or []
        self.ports = dict.fromkeys(self.port_files, 0)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start the process."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the process."""
        self.stop()

    @property
    def pid(self) -> int:
        """Return the process's number; raises StartError when none was started."""
        if self._process is None:
            message = f"The simulator '{self.module}' is not running; call start() first."
            raise StartError(message)
        return self._process.pid

    @property
    def log(self) -> Path:
        """Return the file with the process's output."""
        return self.data / "log"

    def start(self) -> None:
        """Start it (on the ports it had before) and return when it serves."""
        self.data.mkdir(parents=True, exist_ok=True)
        for name in self.port_files:
            (self.data / name).unlink(missing_ok=True)
        command = [sys.executable, "-m", self.module, "--data", str(self.data), "--end-with-stdin"]
        for name, port in self.ports.items():
            command += [f"--{name}", str(port)]
        with self.log.open("ab") as log:
            # The working directory puts the source root on the child's path.
            self._process = subprocess.Popen(
                [*command, *self.options],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=SOURCE_ROOT,
                start_new_session=True,
            )
        self._wait_for_ports()

    def stop(self) -> None:
        """End it in good order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it with SIGKILL, in the midst of whatever it does."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """End it, if it runs, and start it again on the same ports and folder."""
        self.stop()
        self.start()

    def cpu_seconds(self) -> float:
        """Return the processor time that the running process has used, Linux only."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def _end(self, number: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()
        self._process = None

    def _wait_for_ports(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not all((self.data / name).exists() for name in self.port_files):
            ended = self._process is None or self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                tail = self.log.read_text(errors="replace")[-2000:]
                self.kill()
                message = f"The simulator '{self.module}' did not start. Its log ends:\n{tail}"
                raise StartError(message)
            pause(0.01)
        for name in self.port_files:
            self.ports[name] = int((self.data / name).read_text())


class ProviderProcess(SimulatorProcess):
    """The payment provider as a child process."""

    module = "simulators.provider"

    def __init__(
        self,
        data: Path,
        *,
        latency_ms: int | None = None,
        webhook_url: str | None = None,
        webhook_secret: str | None = None,
        api_key: str | None = None,
        port: int = 0,
    ) -> None:
        """Describe the process; None leaves a switch as the ledger has it."""
        given = {
            "--latency": latency_ms,
            "--webhook-url": webhook_url,
            "--webhook-secret": webhook_secret,
            "--api-key": api_key,
        }
        options = [
            text
            for name, value in given.items()
            if value is not None
            for text in (name, str(value))
        ]
        super().__init__(data, options)
        self.ports["port"] = port

    @property
    def url(self) -> str:
        """Return the address, for the stripe library's `base_addresses` and for the control."""
        return f"http://127.0.0.1:{self.ports['port']}"

    @property
    def control(self) -> ProviderControl:
        """Return a client of the helper calls."""
        return ProviderControl(self.url)


class MailSinkProcess(SimulatorProcess):
    """The mail sink as a child process."""

    module = "simulators.mailsink"
    port_files = ("port", "control-port")

    @property
    def host(self) -> str:
        """Return the address of the SMTP server."""
        return "127.0.0.1"

    @property
    def port(self) -> int:
        """Return the port of the SMTP server."""
        return self.ports["port"]

    @property
    def control(self) -> MailSinkControl:
        """Return a client of the helper calls."""
        return MailSinkControl(f"http://127.0.0.1:{self.ports['control-port']}")
