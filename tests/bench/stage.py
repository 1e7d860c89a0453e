"""What rows stand on: the server, the systems' processes, and the timing of a worker."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from bench.given import Given
from bench.ledger import Ledger
from bench.processes import BenchError, Environments, Place, WorkerProcess
from bench.server import Server
from bench.systems import System
from onqueue.clock import SystemClock
from support.servers import short_directory

_LOOK = 0.002
_PATIENCE = 30.0
_clock = SystemClock()


@dataclass(frozen=True)
class Effort:
    """How much a run measures. `seconds` is what one measurement of a worker should take."""

    rounds: int
    jobs: int
    seconds: float
    is_quick: bool

    def jobs_at(self, rate: float) -> int:
        """Return how many jobs a system of that speed gets."""
        return max(200, min(self.jobs, int(rate * self.seconds)))


@dataclass(frozen=True)
class Speed:
    """Jobs a second on the wall clock, and microseconds of CPU a job of worker and server."""

    rate: float
    worker_cpu: float
    server_cpu: float

    @property
    def cpu(self) -> float:
        """Microseconds of CPU a job, worker and server together."""
        return self.worker_cpu + self.server_cpu


@dataclass
class Run:
    """A system at its place with a fresh ledger."""

    place: Place
    ledger: Ledger
    server: Server

    @property
    def name(self) -> str:
        """The system's name."""
        return self.place.system.name

    def fill(self, first: int, last: int) -> float:
        """Dispatch jobs that a worker is to find; return the seconds that took."""
        return self.place.dispatch("fill", first, last)[0]

    def speed(self, workers: Sequence[WorkerProcess], first: int, last: int) -> Speed:
        """Return how fast the jobs first…last-1 are run, timed when a tenth of them has run.

        By then a worker is up and warm. Jobs that wait behind them go on being run meanwhile.
        """
        begin = self._wait_for(workers, first, last, (last - first) // 10)
        end = self._wait_for(workers, first, last, last - first)
        return _speed(begin, end)

    def turn(self, workers: Sequence[WorkerProcess], share: float) -> Speed:
        """Have workers go on that stand still, until a share of what waits has run; timed likewise.

        Jobs that wait behind them go on being run until all stand still again.
        """
        start = self._read(workers, self.ledger.done())
        left = self.ledger.size - start.done
        until = start.done + int(left * share)
        if until == start.done:
            raise BenchError(f"{self.name} was not stopped in time: the machine is too busy.")
        for worker in workers:
            worker.go()
        warm = start.done + (until - start.done) // 10
        begin = self._wait_for(workers, 0, self.ledger.size, warm)
        end = self._wait_for(workers, 0, self.ledger.size, until)
        for worker in workers:
            worker.halt()
        # Looked at too late, on a busy machine: then all of the turn counts.
        return _speed(begin if begin.done < until else start, end)

    def finish(self, worker: WorkerProcess) -> None:
        """Have a worker that stands still run what is left."""
        worker.go()
        self._wait_for([worker], 0, self.ledger.size, self.ledger.size)

    @contextmanager
    def ready_worker(self) -> Iterator[WorkerProcess]:
        """Yield a worker that has begun with the jobs that wait, and stands still."""
        already = self.ledger.done()
        with self.place.worker() as worker:
            self._wait_for([worker], 0, self.ledger.size, already + 1)
            worker.halt()
            yield worker

    def _wait_for(
        self, workers: Sequence[WorkerProcess], first: int, last: int, enough: int
    ) -> _Reading:
        best, gives_up = -1, 0.0
        while (done := self.ledger.done(first, last)) < enough:
            now = _clock.monotonic()
            if done > best:
                best, gives_up = done, now + _PATIENCE
            if now > gives_up:
                raise BenchError(f"{self.name} ran {done} of {last - first} jobs and no more.")
            for worker in workers:
                worker.check()
            _clock.sleep(_LOOK)
        return self._read(workers, done)

    def _read(self, workers: Sequence[WorkerProcess], done: int) -> _Reading:
        at = _clock.monotonic()
        worker_cpu = sum(worker.cpu() for worker in workers)
        return _Reading(at, done, worker_cpu, self.server.cpu())

    def faults(self, first: int, last: int) -> list[str]:
        """Say which of the jobs first…last-1 were lost or run twice; for after the worker's end."""
        lost, twice = self.ledger.faults(first, last)
        found = []
        if lost:
            found.append(f"{self.name} lost {lost} of {last - first} jobs")
        if twice:
            found.append(f"{self.name} ran {twice} of {last - first} jobs more than once")
        return found


@dataclass(frozen=True)
class _Reading:
    at: float
    done: int
    worker: float
    server: float


def _speed(begin: _Reading, end: _Reading) -> Speed:
    jobs = end.done - begin.done
    return Speed(
        rate=jobs / (end.at - begin.at),
        worker_cpu=(end.worker - begin.worker) / jobs * 1e6,
        server_cpu=(end.server - begin.server) / jobs * 1e6,
    )


@dataclass
class Stage:
    """Makes runs on one server, each in a directory of its own."""

    server: Server
    environments: Environments
    effort: Effort
    faults: list[str] = field(default_factory=list)

    @contextmanager
    def run(
        self, system: System, jobs: int, *, must_empty: bool = True, **options: object
    ) -> Iterator[Run]:
        """Yield a system that has run nothing, on an empty server."""
        if must_empty:
            self.server.empty()
        directory = short_directory("m2b-bench-")
        path = directory / "ledger"
        ledger = Ledger.create(path, jobs)
        given = Given(self.server.socket, str(path), jobs, {**system.options, **options})
        given.write(directory)
        try:
            yield Run(Place(system, directory, self.environments, given), ledger, self.server)
        finally:
            ledger.close()
            shutil.rmtree(directory, ignore_errors=True)

    def speed(self, system: System, jobs: int, workers: int = 1) -> Speed:
        """Return how fast workers of a system run so many waiting jobs."""
        with self.run(system, jobs) as run:
            run.fill(0, jobs)
            with ExitStack() as stack:
                started = [stack.enter_context(run.place.worker()) for _ in range(workers)]
                speed = run.speed(started, 0, jobs)
            self.faults += run.faults(0, jobs)
        return speed

    def jobs_for(self, system: System) -> int:
        """Return how many jobs to measure a system with: enough to take `seconds`."""
        rate = self.speed(system, 300).rate
        if rate > 2000:  # a fast one shows what it can only on more of them
            rate = self.speed(system, min(4000, self.effort.jobs)).rate
        return self.effort.jobs_at(rate)
