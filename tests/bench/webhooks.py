"""How fast webhooks leave: receivers of 100 ms, one worker with `--concurrency=64`.

    ../.venv/bin/python -m bench.webhooks [--deliveries 4000] [--postgres] [--core 1]

from `tests/`. The ideal is 64 requests every 100 ms. Receivers count in a process of their own;
the rate and the processor's time are of all but the first 256 and the last 64 they were sent: a
worker's start is no part of it. On a machine that others use too the processor's time is the figure
to compare, because one interpreter cannot send faster than it computes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from sqlalchemy import select  # noqa: E402

from bench.processes import BenchError  # noqa: E402
from meet2be.audit.services import SYSTEM  # noqa: E402
from meet2be.bootstrap import bootstrap  # noqa: E402
from meet2be.config import Settings, process_environment  # noqa: E402
from meet2be.db import upgrade  # noqa: E402
from meet2be.objects.all import object_of  # noqa: E402
from meet2be.tenancy.models import Tenant  # noqa: E402
from meet2be.webhooks.endpoints import EndpointDraft, Workbench, add_endpoint, check_address  # noqa: E402
from meet2be.webhooks.models import WebhookEvent  # noqa: E402
from meet2be.webhooks.publishing import Announcement, publish_many  # noqa: E402
from meet2be.webhooks.spreading import spread  # noqa: E402
from onqueue.clock import SystemClock  # noqa: E402
from onqueue.outbox.relay import Relay  # noqa: E402
from onqueue.outbox.store import SqlOutbox  # noqa: E402
from support.servers import private_postgres, private_valkey  # noqa: E402

CONCURRENCY = 64
LATENCY = 0.1
IDEAL = CONCURRENCY / LATENCY
ENDPOINTS = 32
WARM = 256
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class _Receiver(asyncio.Protocol):
    """Answers a request 100 ms after it has come in whole."""

    times: list[float] = []  # noqa: RUF012 -- of all connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.data = transport, b""

    def data_received(self, data: bytes) -> None:
        self.data += data
        head, end, body = self.data.partition(b"\r\n\r\n")
        if not end:
            return
        at = head.lower().index(b"content-length:") + 15
        if len(body) >= int(head[at:].split(b"\r\n", 1)[0]):
            asyncio.get_running_loop().call_later(LATENCY, self._answer)

    def _answer(self) -> None:
        self.times.append(SystemClock().monotonic())
        transport: asyncio.Transport = self.transport  # type: ignore[assignment]
        transport.write(ANSWER)
        transport.close()


def _receive(tell: Connection, wanted: int) -> None:
    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(_Receiver, "127.0.0.1", 0, backlog=512)
        tell.send(server.sockets[0].getsockname()[1])
        for mark in (WARM, wanted - CONCURRENCY, wanted):
            while len(_Receiver.times) < mark:  # noqa: ASYNC110 -- a hundred looks a second
                await asyncio.sleep(0.01)
            tell.send(len(_Receiver.times))
        tell.send(_Receiver.times)

    asyncio.run(serve())


@contextmanager
def _database(folder: Path, *, postgres: bool) -> Iterator[str]:
    if not postgres:
        yield f"sqlite:///{folder / 'bench.sqlite'}"
        return
    with private_postgres() as server:
        yield server.create_database()


def measure_delivering(
    deliveries: int, *, postgres: bool = False, core: int | None = None
) -> dict[str, float]:
    """Return the rate (deliveries a second), its share of the ideal and the worker's CPU (ms).

    The worker keeps to one ``core``, where one is named. There are as many for each endpoint: what
    is left of ``deliveries`` is not sent.
    """
    deliveries -= deliveries % ENDPOINTS
    with (
        TemporaryDirectory(prefix="m2b-", dir="/tmp") as name,
        private_valkey(appendfsync="everysec") as valkey,
        _database(Path(name), postgres=postgres) as url,
    ):
        ours, theirs = multiprocessing.get_context("fork").Pipe()
        receivers = multiprocessing.get_context("fork").Process(
            target=_receive, args=(theirs, deliveries), daemon=True
        )
        receivers.start()
        environment = {
            **process_environment(), "MEET2BE_ENV": "test", "VAR_DIR": name, "DATABASE_URL": url,
            "REDIS_URL": valkey.url, "APP_KEY": "b" * 48, "WEBHOOKS_ALLOW_PRIVATE": "127.0.0.0/8",
            "WEBHOOKS_ALLOW_HTTP": "yes", "WEBHOOKS_PORTS": "any", "LOG_LEVEL": "error",
        }  # fmt: skip
        _prepare(environment, url, ours.recv(), deliveries)
        command = [sys.executable, "-m", "workers", "queue", "redis", "--queue=webhooks",
                   f"--concurrency={CONCURRENCY}"]  # fmt: skip
        if core is not None:
            command.append(f"--core={core}")
        with subprocess.Popen(command, env=environment, cwd=ROOT) as worker:
            first, before = _told(ours, worker), _processor_seconds(worker.pid)
            last, after = _told(ours, worker), _processor_seconds(worker.pid)
            _told(ours, worker)
            times = sorted(ours.recv())
            worker.terminate()
        receivers.join()
    times = times[WARM:-CONCURRENCY]
    rate = (len(times) - 1) / (times[-1] - times[0])
    cpu = (after - before) / (last - first)
    return {"rate": rate, "share": rate / IDEAL, "cpu_ms": 1000 * cpu}


def _told(ours: Connection, worker: subprocess.Popen[bytes]) -> int:
    """Return how many the receivers have counted; raises ``BenchError`` when the worker is gone."""
    while not ours.poll(1):
        if worker.poll() is not None:
            raise BenchError(f"the worker of webhooks ended with {worker.returncode}")
    counted: int = ours.recv()
    return counted


def _prepare(environment: dict[str, str], url: str, port: int, deliveries: int) -> None:
    """Make a tenant with endpoints, and announce so much that there are so many deliveries."""
    upgrade(url)
    services = bootstrap(Settings.from_env(environment))
    bench = Workbench(services.webhooks.http, services.webhooks.vault, SYSTEM)
    with services.database.system_session("bench: a tenant") as system:
        tenant = Tenant(slug="bench", name="Bench")
        system.add(tenant)
        system.commit()
        tenant_id = tenant.id
    now = services.clock.now()
    with services.database.tenant_session(tenant_id) as session:
        for number in range(ENDPOINTS):
            draft = EndpointDraft(f"http://127.0.0.1:{port}/hook/{number}", all_types=True)
            add_endpoint(session, bench, draft, check_address(bench, draft.url))
        publish_many(
            session,
            (
                Announcement(
                    "refund.succeeded", "refund", f"refund-{number}", f"bench:{number}", now,
                    data={"amount_minor": 11_900, "currency": "EUR", "order": "Q7WK2"},
                )
                for number in range(deliveries // ENDPOINTS)
            ),
        )  # fmt: skip
        session.commit()
    with services.database.tenant_session(tenant_id) as session:
        spread(session, list(session.scalars(select(WebhookEvent.id))), object_of)
        session.commit()
    outbox = SqlOutbox(services.database.engine, services.clock)
    Relay(outbox, services.queues, services.clock).step()
    services.close()


def _processor_seconds(pid: int) -> float:
    """Return what a worker and its children have computed, in seconds."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    ticks = 0
    for each in (str(pid), *children):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deliveries", type=int, default=4000)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--core", type=int, help="keep the worker to this core")
    given = parser.parse_args()
    found = measure_delivering(given.deliveries, postgres=given.postgres, core=given.core)
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
