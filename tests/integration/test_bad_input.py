"""Bad input, as a person or an operator meets it: a clear error, and nothing changed.

Each promise once, through the door people use; the corners of each are in the tests of its part:

- a wrong file: here, and `attendees/test_import_refusals.py`
- an unknown event: here, and `attendees/test_import_refusals.py`
- a second cancellation at the same time, a stale preview, a wrong code: here,
  `cancellations/test_verbs.py`, `web/test_cancelling_pages.py`
- another tenant's id: here, `web/test_route_matrix.py`, `tenancy/test_session_guard.py`
- an argument that cannot travel: here, and `unit/onqueue/test_payload.py`
- `retry_after` below a timeout: `unit/onqueue/test_connections.py`,
  `unit/onqueue/bus/test_dispatcher.py`
- a broker that is full, away or not `noeviction`: here, and `onqueue/redis/test_server_faults.py`
- a database that is not migrated: here, and `migrations/test_migrations.py`
"""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
import redis

from jobs.send_mails import SendMails
from meet2be.cancellations.errors import (
    CancellationAlreadyRunning,
    CodeExpired,
    PreviewStale,
    UnknownRun,
    WrongCode,
)
from meet2be.cancellations.models import CancelRun
from meet2be.db import Database
from meet2be.local.environment import ROOT
from meet2be.queueing import dispatch_all
from onqueue import QueueManager
from onqueue.connections import using
from onqueue.contracts import Message
from onqueue.errors import BrokerFull, BrokerUnavailable, UnserializableArgument
from onqueue.testing.clock import FakeClock
from simulators.processes import ProviderProcess
from support.cancelling import Conference, conference, running_provider
from support.factories import Ticket, make_event, make_tenant
from support.servers import private_valkey
from support.web import make_services

PICTURE = ROOT / "docs" / "images" / "cancel-run.png"
WORKERS = (sys.executable, "-m", "workers")
SERVED = ("queue", "redis", "--queue=default")
NOT_MIGRATED = re.compile(r"the database is at nothing \(it is empty\).*Run `meet2be db upgrade`")


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProviderProcess]:
    """The simulated provider."""
    with running_provider(tmp_path_factory.mktemp("provider")) as process:
        yield process


@pytest.fixture
def meeting(
    sqlite_database: Database, clock: FakeClock, provider: ProviderProcess
) -> Iterator[Conference]:
    """A conference with one paid ticket."""
    with conference(sqlite_database, clock, provider) as made:
        made.sell(Ticket(price=10_001))
        yield made


def content(database: Database, *passed_over: str) -> list[str]:
    """Return every row of the database as SQL, but for some tables."""
    with closing(sqlite3.connect(str(database.engine.url.database))) as connection:
        lines = list(connection.iterdump())
    return [line for line in lines if not line.startswith(tuple(map(_insertion, passed_over)))]


def _insertion(table: str) -> str:
    return f'INSERT INTO "{table}"'


def told(var: Path, *command: str, **environment: str) -> str:
    """Return what a command that must be refused said last; it ends with 1, without a trace."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "VAR_DIR": str(var), **environment},  # noqa: TID251
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


# What starts a process costs a second and a half, most of it for its imports.
_SEVERAL = """
import json, sys
from click.testing import CliRunner
from meet2be.cli import main as meet2be
from workers.__main__ import main as workers
for name, *arguments in json.load(sys.stdin):
    ended = CliRunner().invoke({"meet2be": meet2be, "workers": workers}[name], arguments)
    print(json.dumps([ended.exit_code, ended.stderr]))
"""


def told_several(var: Path, *commands: tuple[str, ...]) -> list[str]:
    """Return what each of these must say as it is refused; one process plays them all."""
    done = subprocess.run(
        [sys.executable, "-c", _SEVERAL],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "VAR_DIR": str(var)},  # noqa: TID251
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        check=True,
        timeout=180,
    )
    ends = [json.loads(line) for line in done.stdout.splitlines()]
    assert [code for code, _ in ends] == [1] * len(commands), done.stdout + done.stderr
    return [said.strip().splitlines()[-1] for _, said in ends]


# ---- files and events ----


def test_a_wrong_file_and_an_unknown_event_are_refused_at_the_command(
    sqlite_database: Database, tmp_path: Path
) -> None:
    tenant = make_tenant(sqlite_database, "aurora")
    make_event(sqlite_database, tenant, slug="summit")
    before = content(sqlite_database)
    base = ("meet2be", "attendees", "import", str(PICTURE), "--tenant=aurora")
    picture, unknown = told_several(tmp_path, (*base, "--event=summit"), (*base, "--event=nope"))
    assert picture.startswith("Error: 'cancel-run.png', row 1: the byte 0x89")
    assert unknown == "Error: there is no event 'nope'. See the list of events for its name."
    assert content(sqlite_database) == before


# ---- cancelling ----


def test_of_two_who_confirm_at_the_same_time_one_is_led_to_the_others_run(
    meeting: Conference,
) -> None:
    previews = [meeting.preview(), meeting.preview()]
    outcomes: list[str] = []
    start = threading.Barrier(len(previews))

    def confirm(run: CancelRun) -> None:
        start.wait()
        try:
            outcomes.append(meeting.confirm(run))
        except CancellationAlreadyRunning as error:
            outcomes.append(f"see {error.run_uid}")

    people = [threading.Thread(target=confirm, args=(run,)) for run in previews]
    for person in people:
        person.start()
    for person in people:
        person.join()
    (begun,) = [uid for uid in outcomes if not uid.startswith("see")]
    assert sorted(outcomes) == sorted([begun, f"see {begun}"])
    states = {run.uid: run.state for run in meeting.rows(CancelRun)}
    assert sorted(states.values()) == ["confirmed", "preview"]
    meeting.run_uid = begun
    assert len(meeting.items()) == 1


def test_a_stale_preview_starts_nothing(meeting: Conference) -> None:
    run = meeting.preview()
    meeting.sell(Ticket(price=5_000))
    before = content(meeting.database)
    with pytest.raises(PreviewStale, match="Look at a new preview"):
        meeting.confirm(run)
    assert content(meeting.database) == before


def test_wrong_and_spent_codes_start_nothing(meeting: Conference) -> None:
    with meeting.database.system_session("tests: any sum needs a code") as session:
        session.merge(meeting.tenant).confirm_limit_minor = 0
        session.commit()
    run = meeting.preview()
    code = meeting.mailed_code(run)
    before = content(meeting.database, "cancel_runs")  # its tries are counted there
    wrong = str((int(code) + 1) % 10**8).zfill(8)
    for left in range(4, -1, -1):
        with pytest.raises(WrongCode, match=f"Tries left: {left}" if left else "the last try"):
            meeting.confirm(run, code=wrong)
    with pytest.raises(CodeExpired, match="Have a new code mailed"):
        meeting.confirm(run, code=code)
    assert content(meeting.database, "cancel_runs") == before
    assert meeting.run().state == "preview"


def test_another_tenants_run_does_not_exist_for_one(
    meeting: Conference, clock: FakeClock, provider: ProviderProcess
) -> None:
    run = meeting.preview()
    with conference(meeting.database, clock, provider) as other:
        before = content(meeting.database)
        with pytest.raises(UnknownRun, match="There is no cancellation"):
            other.confirm(run, typed_name=meeting.event.title)
        assert content(meeting.database) == before


# ---- jobs and brokers ----


def manager(database: Database, clock: FakeClock, folder: Path, url: str) -> QueueManager:
    return make_services(database, clock, folder, REDIS_URL=url).queues


def test_an_argument_that_cannot_travel_is_named_and_nothing_is_dispatched(
    sqlite_database: Database, clock: FakeClock, tmp_path: Path, redis_url: str
) -> None:
    tenant = make_tenant(sqlite_database)
    before = content(sqlite_database)
    queues = manager(sqlite_database, clock, tmp_path, redis_url)
    unfit = SendMails(mails=[1, object()])  # type: ignore[list-item]
    with using(queues), sqlite_database.tenant_session(tenant.id) as session:
        with pytest.raises(UnserializableArgument, match="mails"):
            dispatch_all(session, [SendMails(mails=[1]), unfit])
        session.commit()
    assert content(sqlite_database) == before
    assert queues.connection("redis").size("emails").total == 0


def test_a_broker_that_is_away_or_full_is_named_and_what_was_committed_waits(
    sqlite_database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    tenant = make_tenant(sqlite_database)
    # Durable jobs keep a row whatever becomes of their push.
    with private_valkey(maxmemory="3mb") as server:
        queues = manager(sqlite_database, clock, tmp_path, server.url)
        with using(queues):
            with redis.Redis.from_url(server.url) as client:
                fill_up(client)
            with pytest.raises(BrokerFull, match="maxmemory"):
                queues.connection("redis").push(Message("0" * 32, "emails", b"{}"))
            commit_a_mail(sqlite_database, tenant.id)
            server.kill()
            with pytest.raises(BrokerUnavailable, match="cannot be reached"):
                queues.connection("redis").pause("emails")
            commit_a_mail(sqlite_database, tenant.id)
    waiting = [
        line for line in content(sqlite_database) if line.startswith(_insertion("job_outbox"))
    ]
    assert len(waiting) == 2
    assert all("'pending'" in line for line in waiting)


def fill_up(client: redis.Redis) -> None:
    """Fill a broker to its last byte."""
    try:
        for number in count():
            client.set(f"ballast-{number}", b"x" * 4096)
    except redis.OutOfMemoryError:
        return


def commit_a_mail(database: Database, tenant: int) -> None:
    with database.tenant_session(tenant) as session:
        dispatch_all(session, [SendMails(mails=[1])])
        session.commit()


@pytest.mark.usefixtures("sqlite_database")  # the worker's, in the same folder
def test_a_worker_refuses_a_broker_that_would_let_jobs_vanish(tmp_path: Path) -> None:
    with private_valkey() as server:
        with redis.Redis.from_url(server.url) as client:
            client.config_set("maxmemory-policy", "allkeys-lru")
        said = told(tmp_path, *WORKERS, *SERVED, REDIS_URL=server.url)
        assert "maxmemory-policy" in said
        assert "noeviction" in said


# ---- a database that is not migrated ----


def test_a_worker_on_a_database_without_tables_names_what_to_run(tmp_path: Path) -> None:
    assert NOT_MIGRATED.search(told(tmp_path, *WORKERS, *SERVED))


def test_whatever_is_started_on_a_database_without_tables_names_what_to_run(
    tmp_path: Path,
) -> None:
    importing = ("attendees", "import", str(PICTURE), "--tenant=a", "--event=b")
    for said in told_several(
        tmp_path, ("meet2be", *importing), ("workers", "relay"), ("workers", "scheduler")
    ):
        assert NOT_MIGRATED.search(said), said


def test_the_web_does_not_start_on_a_database_without_tables(tmp_path: Path) -> None:
    gunicorn = shutil.which("gunicorn", path=str(Path(sys.executable).parent)) or "gunicorn"
    done = subprocess.run(
        [gunicorn, f"--bind=unix:{tmp_path}/web.sock", "wsgi:app"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "VAR_DIR": str(tmp_path)},  # noqa: TID251
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode != 0
    assert "Run `meet2be db upgrade`" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_demo_of_a_file_that_is_no_list_starts_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--file", str(ROOT / "README.md")],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "VAR_DIR": str(tmp_path)},  # noqa: TID251
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 1
    assert "lacks the columns" in done.stderr
    assert not (tmp_path / "demo").exists()
