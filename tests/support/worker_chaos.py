"""Kills and stops workers at random while they work, and holds what is left against the rules."""

import os
import random
import signal
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from onqueue import dispatch_many
from onqueue.clock import SystemClock
from onqueue.contracts import JobId
from onqueue.worker import WorkerOptions
from support.waiting import eventually
from support.worker_forks import ForkedWorker, make_test_manager
from support.worker_jobs import Die, Line, Step, read_ledger

LEASE = 0.5
WORKERS = 3


@dataclass
class Figures:
    """What a run came to."""

    seed: int
    jobs: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    stops: int = 0
    runs: int = 0
    repeated: int = 0
    told: int = 0
    poisoned: int = 0
    poisoned_by_chance: int = 0
    stale_refused: int = 0
    unseen_starts: int = 0
    zombie_starts: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        """One line for the report."""
        kills = ", ".join(f"{count} {victim}" for victim, count in sorted(self.kills.items()))
        return (
            f"seed {self.seed}: {self.jobs} jobs, {self.kills.total()} SIGKILLs ({kills}), "
            f"{self.stops} SIGSTOPs beyond the lease, {self.runs} runs ({self.repeated} repeated), "
            f"{self.told} successes told, {self.poisoned} poisoned "
            f"(+{self.poisoned_by_chance} by the kills), {self.stale_refused} stale holders "
            f"refused, {self.zombie_starts} starts by stopped workers, "
            f"{self.unseen_starts} starts cut before their first line, "
            f"{self.seconds:.1f} s"
        )


class Chaos:
    """One random run: workers, jobs for them to do, and their deaths."""

    def __init__(self, directory: Path, url: str, seed: int, concurrency: int = 1) -> None:
        self.figures = Figures(seed)
        self._concurrency = concurrency
        self._random = random.Random(seed)
        self._directory = directory
        self._url = url
        self._clock = SystemClock()
        self._manager = make_test_manager(directory, url, lease=LEASE)
        self._workers: list[ForkedWorker] = []
        self._jobs: dict[JobId, Step | Die] = {}

    def run(self, kills: int, stops: int) -> Figures:
        """Kill and stop so many times, then let the workers finish."""
        started = self._clock.monotonic()
        try:
            while self.figures.kills.total() < kills or self.figures.stops < stops:
                self._staff()
                self._feed()
                self._strike(stops_left=stops - self.figures.stops)
                self._clock.sleep(self._random.uniform(0.005, 0.12))
            self._drain()
        finally:
            for worker in self._workers:
                worker.signal(signal.SIGCONT, group=True)
                worker.end()
            self._manager.close()
        self.figures.seconds = self._clock.monotonic() - started
        return self.figures

    # ---- work ----

    def _staff(self) -> None:
        """Replace dead workers, as a supervisor does, and wake those that were stopped enough."""
        now = self._clock.monotonic()
        for worker in self._workers:
            if worker.stopped_until and now >= worker.stopped_until:
                worker.signal(signal.SIGCONT, group=True)
                worker.stopped_until = 0.0
        self._workers = [worker for worker in self._workers if worker.is_alive()]
        while len(self._workers) < WORKERS:
            options = WorkerOptions(timeout=20, memory=0, concurrency=self._concurrency)
            self._workers.append(ForkedWorker(self._directory, self._url, options, lease=LEASE))

    def _feed(self) -> None:
        """Keep enough waiting for every worker to be busy."""
        if self._manager.connection().size("default").ready < 40:
            jobs = [self._job() for _ in range(60)]
            self._jobs.update(zip(dispatch_many(jobs), jobs, strict=True))
            self.figures.jobs += len(jobs)

    def _job(self) -> Step | Die:
        chance = self._random.random()
        label = f"j{len(self._jobs)}-{self._random.getrandbits(32):08x}"
        if chance < 0.004:
            return Die(label, "kill")
        seconds = 0.0 if chance < 0.6 else self._random.uniform(0.001, 0.04)
        if chance > 0.99:
            seconds = 0.3
        return Step(label, seconds, snoozes=0.9 < chance < 0.93, fails=0.93 < chance < 0.95)

    # ---- harm ----

    def _strike(self, stops_left: int) -> None:
        worker = self._random.choice(self._workers)
        if worker.stopped_until:
            return
        chance = self._random.random()
        if stops_left > 0 and chance < 0.1:
            self._stop(worker, group=self._random.random() < 0.7)
        elif chance < 0.75:
            self._kill_child(worker)
        elif chance < 0.88:
            worker.signal(signal.SIGKILL)
            self.figures.kills["parents"] += 1
        else:
            worker.signal(signal.SIGKILL, group=True)
            self.figures.kills["groups"] += 1

    def _kill_child(self, worker: ForkedWorker) -> None:
        for pid in worker.children():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            self.figures.kills["children"] += 1

    def _stop(self, worker: ForkedWorker, *, group: bool) -> None:
        worker.signal(signal.SIGSTOP, group=group)
        worker.stopped_until = self._clock.monotonic() + LEASE * self._random.uniform(1.5, 2.5)
        self.figures.stops += 1

    # ---- the end ----

    def _drain(self) -> None:
        """Let what is left be done by workers that are left alone."""

        def is_done() -> bool:
            self._staff()
            queue = self._manager.connection()
            # The size is read part by part, so a job that moves may be missed; its payload stays.
            return queue.size("default").total == 0 and not queue.knows(list(self._jobs))

        eventually(is_done, every=0.05)

    def check(self) -> None:
        """Hold the ledgers against the rules; raises `AssertionError` naming the first breach."""
        lines = read_ledger(self._directory / "ledger")
        outcomes = _pairs(self._directory / "ledger.outcomes")
        failures = _pairs(self._directory / "ledger.failed")
        self._check_nothing_is_lost(lines, failures)
        self._check_outcomes_count_once(lines, outcomes, failures)
        self._check_attempts(lines)
        self._check_poison(lines, failures)
        log = (self._directory / "workers.log").read_text()
        self.figures.stale_refused = log.count("lease lost")
        assert "the worker's own code failed" not in log, _around(log, "own code failed")
        assert "could not be" not in log, _around(log, "could not be")

    def _lapses(self) -> int:
        """Return how often a lease ended that nobody was to lose: the machine stopped a worker."""
        log = (self._directory / "workers.log").read_text()
        return log.count("not renewed in time") + log.count("lease lost: holder")

    def _check_nothing_is_lost(self, lines: list[Line], failures: list[list[str]]) -> None:
        effects = Counter(line.label for line in lines if line.what == "effect")
        failed = {failure[0] for failure in failures}
        lost = [
            job
            for job_id, job in self._jobs.items()
            if job_id not in failed and job.label not in effects
        ]
        assert not lost, f"{len(lost)} jobs were lost: {lost[:3]}"
        self.figures.runs = sum(line.what.startswith("start") for line in lines)
        self.figures.repeated = sum(count - 1 for count in effects.values())

    def _check_outcomes_count_once(
        self, lines: list[Line], outcomes: list[list[str]], failures: list[list[str]]
    ) -> None:
        succeeded = Counter(job_id for job_id, outcome in outcomes if outcome == "succeeded")
        twice = [job_id for job_id, count in succeeded.items() if count > 1]
        assert not twice, f"{len(twice)} jobs succeeded twice: {twice[:3]}"
        both = succeeded.keys() & {failure[0] for failure in failures}
        assert not both, f"{len(both)} jobs succeeded and failed: {sorted(both)[:3]}"
        wrong = [job_id for job_id in succeeded if self._jobs[job_id].label not in _effects(lines)]
        assert not wrong, f"{len(wrong)} successes without an effect: {wrong[:3]}"
        self.figures.told = len(succeeded)

    def _check_attempts(self, lines: list[Line]) -> None:
        """No start is forgotten; one that was cut before its first line costs an attempt, too."""
        seen: defaultdict[str, int] = defaultdict(int)
        for line in lines:
            if not line.what.startswith("start"):
                continue
            if line.attempts <= seen[line.label]:
                # Stopped between the look at its lease and the job, a worker starts it in vain.
                self.figures.zombie_starts += 1
                continue
            self.figures.unseen_starts += line.attempts - seen[line.label] - 1
            seen[line.label] = line.attempts
        halts = vain = (self.figures.stops + self._lapses()) * self._concurrency
        # Of several that ran when only their process died nobody knows which to charge.
        poison = {job.label for job in self._jobs.values() if isinstance(job, Die)}
        deaths = self.figures.kills["children"]
        deaths += sum(line.label in poison for line in lines if line.what.startswith("start"))
        if self._concurrency > 1:
            vain += deaths * self._concurrency
        assert self.figures.zombie_starts <= vain, "attempts were not counted"
        kills = self.figures.kills.total() * self._concurrency
        harm = kills + halts + self.figures.runs // 1000
        assert self.figures.unseen_starts <= harm, "jobs that never started lost attempts"

    def _check_poison(self, lines: list[Line], failures: list[list[str]]) -> None:
        poisoned = {failure[0] for failure in failures if failure[1] == "JobPoisoned"}
        poison = {job_id for job_id, job in self._jobs.items() if isinstance(job, Die)}
        assert poison <= poisoned, f"{len(poison - poisoned)} poisonous jobs were not stopped"
        starts = Counter(line.label for line in lines if line.what.startswith("start"))
        worst = max((starts[self._jobs[job_id].label] for job_id in poison), default=0)
        assert worst <= 3 + self.figures.kills.total(), f"a poisonous job was started {worst} times"
        other = [f for f in failures if f[1] not in {"JobPoisoned", "ManuallyFailed"}]
        assert not other, f"jobs failed for another reason: {other[:3]}"
        early = [f for f in failures if f[1] == "JobPoisoned" and int(f[2]) < 3]
        assert not early, f"jobs were poisoned before their third death: {early[:3]}"
        self.figures.poisoned = len(poison)
        self.figures.poisoned_by_chance = len(poisoned - poison)


def _effects(lines: list[Line]) -> set[str]:
    return {line.label for line in lines if line.what == "effect"}


def _pairs(path: Path) -> list[list[str]]:
    return [line.split(" ") for line in path.read_text().splitlines()] if path.exists() else []


def _around(log: str, what: str) -> str:
    at = log.find(what)
    return log[max(0, at - 500) : at + 3000]
