"""How long each filter of the failed jobs takes among a million of them.

    ../.venv/bin/python -m bench.failed_jobs [--rows 1000000] [--postgres | --file PATH]

from `tests/`. Each line is a filter that fits nobody, few or many: its first page of 50, the second
one, the count and the groups. Times are those of the processor (the database's and ours, ten calls'
average), because a machine may be used by others too.
A file is kept, and measured again the next time as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "platform")]

from sqlalchemy import Engine, insert, inspect, text  # noqa: E402

from onqueue.clock import SystemClock  # noqa: E402
from onqueue.failed.database import DatabaseFailedJobs  # noqa: E402
from onqueue.failed.fingerprint import fingerprint  # noqa: E402
from onqueue.failed.tables import create_all, failed_jobs  # noqa: E402
from onqueue.stores import FailedFilter, FailedJob  # noqa: E402
from onqueue.testing.clock import START  # noqa: E402
from support.servers import private_postgres  # noqa: E402
from support.sql_engines import engine_for  # noqa: E402

ERRORS = (
    ("LookupError", "no person {0}"),
    ("OSError", "cannot open /srv/{0}/list.csv"),
    ("ProviderError", "refund re_{0} was declined: insufficient funds"),
    ("IntegrityError", "duplicate key value violates unique constraint on mails ({0})"),
)
OLD = ("TimeoutExceeded", "timeout after 3.5 s at 10.0.0.{0}:5432")
TRACE = '  File "/srv/{0}.py", line {1}, in handle\n' * 5
SLICE = 10_000
CLOCK = SystemClock()


def filters(total: int) -> dict[str, FailedFilter]:
    """Return what is looked for among so many jobs."""
    return {
        "all": FailedFilter(),
        "connection, nobody": FailedFilter(connection="other"),
        "queue, nobody": FailedFilter(queue="nowhere"),
        "queue, many": FailedFilter(queue="queue-3"),
        "job, nobody": FailedFilter(job="Nothing"),
        "job, many": FailedFilter(job="Job7"),
        "tenant, nobody": FailedFilter(tenant="nobody"),
        "tenant, many": FailedFilter(tenant="7"),
        "tag, nobody": FailedFilter(tag="nothing"),
        "tag, one": FailedFilter(tag=f"order:{total // 2}"),
        "tag, many": FailedFilter(tag="vip"),
        "group, many": FailedFilter(group=group_of("Job3", ERRORS[3][0])),
        "group, 4 digits": FailedFilter(group=group_of("Job3", ERRORS[3][0])[:4]),
        "group, nobody": FailedFilter(group="0123456789abcdef"),
        "error, nobody": FailedFilter(error="nothing like it"),
        "error, one": FailedFilter(error=f"person {total - 8}"),
        "error, many": FailedFilter(error="declined"),
        "error, many, all old": FailedFilter(error="timeout"),
        "error, a beginning, old": FailedFilter(error="time"),
        "error, two, never both": FailedFilter(error="declined duplicate"),
        "error, one digit": FailedFilter(error="4"),
        "error and queue": FailedFilter(error="declined", queue="queue-3"),
        "tag and tenant": FailedFilter(tag="vip", tenant="7"),
        "time, nobody": FailedFilter(since=START + timedelta(days=1)),
        "time, many": FailedFilter(until=START - timedelta(hours=3)),
    }


def rows(first: int, last: int, total: int) -> Iterator[dict[str, Any]]:
    """Return jobs of numbers as rows: what is old failed of other causes than what is new."""
    for number in range(first, last):
        kind, message = OLD if number < total * 0.3 else ERRORS[number % len(ERRORS)]
        job, error = f"Job{number % 20}", message.format(number)
        tags = [f"order:{number}"] + (["vip"] if number % 10 == 0 else [])
        yield {
            "id": f"{number * 2_654_435_761 % 2**64:032x}", "failure": 1, "connection": "redis",
            "queue": f"queue-{number % 12}", "job": job, "payload": b"{}" + b" " * 200,
            "tenant": str(number % 40), "error_type": kind, "error": error,
            "traceback": TRACE.format(job, number % 90), "fingerprint": group_of(job, kind),
            "attempts": 3, "state": "failed", "tags": json.dumps(tags, separators=(",", ":")),
            "failed_at": START - timedelta(milliseconds=20 * (total - number)),
        }  # fmt: skip


@cache
def group_of(job: str, kind: str) -> str:
    """Return the fingerprint of a job's failures of a kind, whatever its number."""
    message = dict((*ERRORS, OLD))[kind]
    return fingerprint(job, kind, message.format(1), TRACE.format(job, 1))


def fill(engine: Engine, total: int) -> float:
    """Write so many failed jobs, as an earlier release left them; return what the rest took, s."""
    failed_jobs.create(engine)
    for first in range(0, total, SLICE):
        with engine.begin() as connection:
            connection.execute(
                insert(failed_jobs), list(rows(first, min(first + SLICE, total), total))
            )
    began = CLOCK.monotonic()
    create_all(engine)
    took = CLOCK.monotonic() - began
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("ANALYZE"))
    return took


@dataclass(slots=True)
class Meter:
    """Reads how long processes were on a processor."""

    pids: tuple[int, ...]

    def milliseconds(self, call: Callable[[], object], times: int = 10) -> float:
        """Return how long a call takes, on the average."""
        began = self._spent()
        for _ in range(times):
            call()
        return (self._spent() - began) / times

    def _spent(self) -> float:
        files = [Path(f"/proc/{pid}/schedstat") for pid in self.pids]
        return sum(int(file.read_text().split()[0]) for file in files) / 1e6


def measure(store: DatabaseFailedJobs, meter: Meter, total: int) -> None:
    """Print a line for each filter."""
    print(f"{'filter':<26}{'found':>8}{'page':>10}{'second':>10}{'count':>10}{'groups':>10}   ms")
    for name, wanted in filters(total).items():
        page = store.all(wanted)
        after = page[-1].id if page else None
        calls: tuple[Callable[[], object], ...] = (
            partial(store.all, wanted),
            partial(store.all, wanted, after=after),
            partial(store.count, wanted),
            partial(store.groups, wanted),
        )
        times = [meter.milliseconds(call) for call in calls]
        print(f"{name:<26}{len(page):>8}" + "".join(f"{time:>10.1f}" for time in times), flush=True)


def measure_recording(store: DatabaseFailedJobs, meter: Meter) -> None:
    """Print what it costs to write a failure down and to delete it."""
    jobs = [
        FailedJob(
            f"{number:032x}", "redis", "default", "SendMail", b"{}" * 100, "ProviderError",
            f"refund re_{number} was declined: insufficient funds", "trace\n" * 50, 3, START,
            "7", ("vip", f"order:{number}"),
        )
        for number in range(1, 501)
    ]  # fmt: skip

    def record() -> None:
        for job in jobs:
            store.record(job)

    def forget() -> None:
        for job in jobs:
            store.forget(job.id)

    times = [meter.milliseconds(call, 1) / len(jobs) for call in (record, forget)]
    print(f"record {times[0]:.2f} ms, forget {times[1]:.2f} ms a job")


@contextmanager
def database(file: Path | None, *, postgres: bool) -> Iterator[Engine]:
    """Return an engine on an empty database."""
    if postgres:
        with private_postgres() as server:
            yield engine_for(server.create_database())
        return
    with TemporaryDirectory(prefix="m2b-", dir="/tmp") as name:
        yield engine_for(f"sqlite:///{file or Path(name) / 'failed.db'}")


def server_process(engine: Engine) -> list[int]:
    """Return the process that serves the engine's one connection; none for SQLite."""
    if engine.dialect.name != "postgresql":
        return []
    with engine.connect() as connection:
        return list(connection.scalars(text("SELECT pg_backend_pid()")))


def main() -> None:
    """Fill a database and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--file", type=Path)
    given = parser.parse_args()
    with database(given.file, postgres=given.postgres) as engine:
        print(f"{given.rows} failed jobs in {engine.dialect.name}")
        if not inspect(engine).has_table(failed_jobs.name):
            print(f"made searchable in {fill(engine, given.rows):.0f} s", flush=True)
        meter = Meter((os.getpid(), *server_process(engine)))
        store = DatabaseFailedJobs(engine)
        measure_recording(store, meter)
        measure(store, meter, given.rows)
        engine.dispose()


if __name__ == "__main__":
    main()
