"""Workers of an import are killed between chunks and in the middle of one: nobody comes twice."""

from __future__ import annotations

import io
import os
import signal
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import event, func, select

from jobs.triggers import TRIGGERS
from meet2be.accounts.models import User
from meet2be.attendees.models import Attendee
from meet2be.audit.services import SYSTEM
from meet2be.bootstrap import bootstrap
from meet2be.config import Settings
from meet2be.db import Database
from meet2be.imports import services as verbs
from meet2be.imports.facts import ImportToBeRead, StepWanted
from meet2be.imports.limits import CHUNK_ROWS
from meet2be.imports.welcoming import welcome_imported
from meet2be.mailings.models import Mail
from meet2be.orders.models import Order
from meet2be.queueing import dispatch_all
from meet2be.tenancy.models import Membership
from onqueue import Job
from onqueue.clock import SystemClock
from onqueue.connections import QueueManager, using
from onqueue.testing.clock import FakeClock
from onqueue.worker import WorkerOptions
from support.importing import Importing, importing
from support.servers import private_valkey
from support.waiting import eventually
from support.web import make_services
from support.worker_forks import ForkedWorker

pytestmark = pytest.mark.crash
PEOPLE = CHUNK_ROWS + 40
STEPS_APART = 7


def killed_at(database: Database, statement: int, work: Callable[[], object]) -> bool:
    """Do the work in a fork that dies right before its so-manieth statement; tell whether it did.

    A number beyond the last statement lets it finish.
    """
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            database.forget_connections()
            left = count(statement, -1)

            def strike(*_arguments: object) -> None:
                if next(left) == 1:
                    os.kill(os.getpid(), signal.SIGKILL)

            event.listen(database.engine, "before_cursor_execute", strike)
            event.listen(database.engine, "commit", strike)
            work()
            code = 0
        finally:
            os._exit(code)
    ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert ended in {0, -signal.SIGKILL}
    return ended != 0


def kill_through(database: Database, work: Callable[[], object], check: Callable[[], None]) -> int:
    """Kill the work at ever later statements until it gets through; return how often it died."""
    for number, statement in enumerate(count(1, STEPS_APART)):
        is_dead = killed_at(database, statement, work)
        check()
        if not is_dead:
            return number
    raise AssertionError


def test_attendees_are_written_once_wherever_the_worker_is_killed(
    sqlite_database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    rig = importing(sqlite_database, clock, tmp_path)
    rows = "".join(f"P{n},p{n}@example.org,O{n}\n" for n in range(PEOPLE))
    uid = rig.checked("Name,E-mail,Order code\n" + rows)
    rig.start(uid)

    def rows_tell_the_truth() -> None:
        states = Counter(rig.states(uid).values())
        assert states["created"] == rig.count()
        assert states["created"] in {0, CHUNK_ROWS, PEOPLE}

    deaths = kill_through(sqlite_database, lambda: rig.work(uid, "write"), rows_tell_the_truth)
    assert deaths > 3
    assert rig.row(uid).state == "done"
    with sqlite_database.tenant_session(rig.tenant.id) as session:
        assert session.scalar(select(func.count(Order.id))) == PEOPLE
        assert session.scalar(select(func.count(func.distinct(Attendee.email_norm)))) == PEOPLE
    undone = kill_through(sqlite_database, lambda: rig.work(uid, "undo"), lambda: None)
    assert undone >= 0
    rig.undo(uid)
    assert rig.count() == 0


def test_people_are_welcomed_once_wherever_the_worker_is_killed(
    sqlite_database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    rig = importing(sqlite_database, clock, tmp_path)
    rows = "".join(f"p{n}@example.org\n" for n in range(PEOPLE))
    uid = rig.checked("E-mail\n" + rows, "users", welcome=True)
    rig.start(uid)
    kill_through(sqlite_database, lambda: rig.work(uid, "write"), lambda: None)

    def welcome() -> None:
        welcome_imported(rig.desk, rig.tenant.id, uid, lambda: None)

    kill_through(sqlite_database, welcome, lambda: None)
    welcome()
    with sqlite_database.tenant_session(rig.tenant.id) as session:
        assert session.scalar(select(func.count(Membership.id))) == PEOPLE + 1
        mails = session.execute(select(Mail.user_id, func.count()).group_by(Mail.user_id)).all()
    assert len(mails) == PEOPLE
    assert {number for _, number in mails} == {1}
    with sqlite_database.system_session("test: count accounts") as session:
        assert session.scalar(select(func.count(User.id))) == PEOPLE + 1


class Doomed:
    """Makes the queues of a worker whose first child dies in the middle of its second chunk."""

    def __init__(self, environment: dict[str, str], marker: Path) -> None:
        self.environment, self.marker = environment, marker

    def __call__(self, _url: str, _ledger: str) -> QueueManager:
        services = bootstrap(Settings.from_env(self.environment))
        chunks = count(1)

        def strike(_link: object, _cursor: object, statement: str, *_more: object) -> None:
            if not statement.startswith("INSERT INTO attendees") or next(chunks) < 2:
                return
            try:
                os.close(os.open(self.marker, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return
            os.kill(os.getpid(), signal.SIGKILL)

        event.listen(services.database.engine, "before_cursor_execute", strike)
        return services.queues


def test_a_batch_survives_a_killed_worker_from_the_file_to_the_notice(
    sqlite_database: Database, tmp_path: Path
) -> None:
    """The whole way through real workers: read, checked, written, one of them killed, told."""
    clock = SystemClock()
    database = Database(sqlite_database.engine.url, clock)
    rig: Importing = importing(database, clock, tmp_path)
    with private_valkey() as server:
        environment = {
            "MEET2BE_ENV": "test",
            "VAR_DIR": str(tmp_path),
            "DATABASE_URL": f"sqlite:///{database.engine.url.database}",
            "REDIS_URL": server.url,
            "STRIPE_WEBHOOK_SECRET": "whsec_tests",
        }
        services = make_services(
            database,
            clock,  # type: ignore[arg-type]  # the wall's: the workers have no other
            tmp_path,
            REDIS_URL=server.url,
        )
        rig.desk = type(rig.desk)(database, services.store, clock)
        uid = _uploaded(rig)
        marker = tmp_path / "struck"
        options = WorkerOptions(connection="redis", queues=("imports",), memory=0, sleep=0.1)
        with using(services.queues):
            rig.map(uid)
            _dispatch(rig, ImportToBeRead(uid, rig.row(uid).turn))
            worker = ForkedWorker(tmp_path, server.url, options, make=Doomed(environment, marker))
            try:
                eventually(lambda: rig.row(uid).state == "validated", every=0.1)
                rig.start(uid)
                _dispatch(rig, StepWanted(uid, rig.row(uid).turn, "write"))
                eventually(lambda: rig.row(uid).state.startswith("done"), within=90.0, every=0.1)
            finally:
                worker.end()
    assert marker.exists()
    assert rig.row(uid).state == "done"
    assert rig.counts(uid) == {"created": 3 * CHUNK_ROWS}
    assert rig.count() == 3 * CHUNK_ROWS
    database.close()


def _uploaded(rig: Importing) -> str:
    rows = "".join(f"P{n},p{n}@example.org\n" for n in range(3 * CHUNK_ROWS))
    with rig.database.tenant_session(rig.tenant.id) as session:
        file = io.BytesIO(f"Name,E-mail\n{rows}".encode())
        given = verbs.Upload("attendees", file, "list.csv", rig.user.id, rig.event)
        found = verbs.upload(session, rig.desk.store, given, SYSTEM)
        session.commit()
        return found.uid


def _dispatch(rig: Importing, fact: object) -> None:
    """Do what the commit does where facts become jobs; the tests' services have no such."""
    with rig.database.tenant_session(rig.tenant.id) as session:
        jobs = [job for job in TRIGGERS[type(fact)](fact) if isinstance(job, Job)]
        dispatch_all(session, jobs)
        session.commit()
