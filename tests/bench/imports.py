"""How fast a list is imported, against bare batched inserts of the same rows.

    python tests/bench/imports.py --rows 100000 --database postgresql

One worker does all of it: reading the file, checking and writing every chunk, one commit each.
"Bare" are the same orders and attendees inserted with SQLAlchemy's Core, 500 a commit, nothing
read, checked or remembered. Memory is the process's highest resident set; it must not grow with
the list. On a machine that others use, too, the seconds of the processor are the figures to
compare: of this process and of all the server's.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, BinaryIO, cast

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from sqlalchemy import Table, insert, select  # noqa: E402 -- after the path

from meet2be.attendees.models import Attendee  # noqa: E402
from meet2be.db import Database, upgrade  # noqa: E402
from meet2be.db.columns import new_uid  # noqa: E402
from meet2be.events.models import TicketType  # noqa: E402
from meet2be.imports import services as verbs  # noqa: E402
from meet2be.imports.desk import ImportDesk  # noqa: E402
from meet2be.integrations.storage_local import LocalStore  # noqa: E402
from meet2be.orders.models import Order  # noqa: E402
from onqueue.clock import SystemClock  # noqa: E402
from support.factories import make_event, make_tenant, make_user  # noqa: E402
from support.importing import Importing  # noqa: E402
from support.servers import private_postgres  # noqa: E402

BATCH = 500
Processor = Callable[[], float]
"""Returns the seconds that this process and the database's server have computed."""
ORDERS, ATTENDEES = cast("Table", Order.__table__), cast("Table", Attendee.__table__)


def main() -> None:
    """Measure and print a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="postgresql")
    parser.add_argument("--skip-bare", action="store_true")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="m2b-bench-") as folder,
        database_of(given.database, Path(folder)) as (database, processor),
    ):
        before = processor()
        bare = 0.0 if given.skip_bare else bare_inserts(database, given.rows)
        bare_cpu, at_first = processor() - before, megabytes()
        figures = imported(database, processor, Path(folder), given.rows, given.profile)
    speed = given.rows / figures["total"]
    print(
        json.dumps(
            {
                "rows": given.rows,
                "database": given.database,
                "bare rows/s": round(given.rows / bare) if bare else None,
                "import rows/s": round(speed),
                "share": round(speed * bare / given.rows, 3) if bare else None,
                "bare processor s": round(bare_cpu, 2) if bare else None,
                "processor share": round(bare_cpu / figures["processor"], 3) if bare else None,
                **{f"{name} s": round(seconds, 2) for name, seconds in figures.items()},
                "MiB before": at_first,
                "peak MiB": megabytes(),
            }
        )
    )


def megabytes() -> int:
    """Return the process's highest resident set so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def computed_by(postmaster: int) -> float:
    """Return the processor seconds of a server and its children, of those that ended too."""
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    ticks = 0
    for each in (str(postmaster), *children):
        with suppress(FileNotFoundError):  # ended since, and is counted in the server's own
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def database_of(kind: str, folder: Path) -> Iterator[tuple[Database, Processor]]:
    """Yield a migrated, empty database, and what tells the processor's time."""
    if kind == "sqlite":
        url = f"sqlite:///{folder / 'bench.sqlite'}"
        upgrade(url)
        database = Database(url, SystemClock())
        yield database, process_time
        database.close()
        return
    with private_postgres() as server:
        url = server.create_database()
        upgrade(url)
        database = Database(url, SystemClock())
        postmaster = int((server.data / "postmaster.pid").read_text().split()[0])
        yield database, lambda: process_time() + computed_by(postmaster)
        database.close()


def lines(rows: int) -> Iterator[str]:
    """Yield a list of people."""
    yield "Name,E-mail,Company,Ticket\r\n"
    for number in range(rows):  # short ones: a million of them is within the 50 MB of an upload
        yield f"Guest {number},g{number}@example.org,C{number % 97},Regular\r\n"


def bare_inserts(database: Database, rows: int) -> float:
    """Return how many seconds the same rows take without any of the rest."""
    tenant = make_tenant(database)
    event = make_event(database, tenant)
    with database.tenant_session(tenant.id) as session:
        kind = TicketType(event_id=event.id, name="Regular", price_minor=0, quota=rows, sold=rows)
        session.add(kind)
        session.commit()
    now = database.clock.now()
    started = perf_counter()
    with database.tenant_connection(tenant.id) as connection:
        for start in range(0, rows, BATCH):
            if start % (BATCH * 100) == 0:
                print(f"bare: {start:,} of {rows:,} rows", file=sys.stderr, flush=True)
            numbers = range(start, min(start + BATCH, rows))
            with connection.begin():
                orders = [_order(tenant.id, event.id, number, now) for number in numbers]
                found = connection.execute(
                    insert(ORDERS).returning(ORDERS.c.code, ORDERS.c.id),
                    orders,
                )
                ids = {code: number for code, number in found}  # noqa: C416 -- rows are no tuples
                connection.execute(
                    insert(ATTENDEES),
                    [
                        _attendee(tenant.id, event.id, ids[f"B{number}"], kind.id, number, now)
                        for number in numbers
                    ],
                )
    return perf_counter() - started


def _order(tenant: int, event: int, number: int, now: Any) -> dict[str, Any]:
    email = f"g{number}@example.org"
    return {
        "tenant_id": tenant, "uid": new_uid(), "event_id": event, "code": f"B{number}",
        "buyer_name": f"Guest {number}", "buyer_email": email, "buyer_email_norm": email,
        "locale": "en", "status": "paid", "total_minor": 0, "currency": "EUR", "test_mode": False,
        "paid_at": now, "created_at": now, "updated_at": now,
    }  # fmt: skip


def _attendee(
    tenant: int, event: int, order: int, kind: int, number: int, now: Any
) -> dict[str, Any]:
    email = f"g{number}@example.org"
    return {
        "tenant_id": tenant, "uid": new_uid(), "event_id": event, "order_id": order,
        "ticket_type_id": kind, "ticket_code": f"B{number}-1", "name": f"Guest {number}",
        "email": email, "email_norm": email, "company": f"C{number % 97}", "locale": "en",
        "status": "active", "price_minor": 0, "refunded_minor": 0, "currency": "EUR",
        "created_at": now, "updated_at": now, "name_key": f"guest {number}",
        "rest_key": str(number), "last_key": None, "email_key": email,
        "domain_key": "example.org", "company_key": f"c{number % 97}", "code_key": f"b{number}-1",
    }  # fmt: skip


def imported(
    database: Database, processor: Processor, folder: Path, rows: int, is_profiled: bool
) -> dict[str, float]:
    """Return how many seconds each step of an import takes."""
    tenant = make_tenant(database)
    desk = ImportDesk(database, LocalStore(folder / "files"), database.clock)
    user = make_user(database, tenant)
    rig = Importing(database, desk, tenant, make_event(database, tenant), user)
    file = folder / "list.csv"
    with file.open("w", encoding="utf-8", newline="") as target:
        target.writelines(lines(rows))
    figures: dict[str, float] = {}
    profile = _profile() if is_profiled else None
    before = processor()
    with file.open("rb") as source:
        uid = _timed(figures, "upload", lambda: _upload(rig, source))
    rig.map(uid)
    turn = rig.row(uid).turn
    from meet2be.imports.lists import read_list

    _timed(figures, "read", lambda: read_list(desk, tenant.id, uid, turn, lambda: None))
    _timed(figures, "check", lambda: rig.work(uid, "check"))
    rig.start(uid)
    _timed(figures, "write", lambda: rig.work(uid, "write"))
    if profile is not None:
        profile.disable()
        profile.print_stats("cumulative")
    figures["total"] = sum(figures.values())
    figures["processor"] = processor() - before
    with database.tenant_session(tenant.id) as session:
        counted = session.scalar(select(Attendee.id).order_by(Attendee.id.desc()).limit(1))
    state = rig.row(uid).state
    if state != "done" or counted is None or rig.counts(uid)["created"] != rows:
        raise SystemExit(f"the import ended '{state}' with {rig.counts(uid)}")
    return figures


def _profile() -> Any:
    import cProfile

    profile = cProfile.Profile()
    profile.enable()
    return profile


def _upload(rig: Importing, source: BinaryIO) -> str:
    from meet2be.audit.services import SYSTEM

    with rig.database.tenant_session(rig.tenant.id) as session:
        given = verbs.Upload("attendees", source, "list.csv", rig.user.id, rig.event)
        found = verbs.upload(session, rig.desk.store, given, SYSTEM)
        session.commit()
        return found.uid


def _timed(figures: dict[str, float], name: str, work: Any) -> Any:
    print(f"{name} …", file=sys.stderr, flush=True)
    started = perf_counter()
    result = work()
    figures[name] = perf_counter() - started
    print(f"{name}: {figures[name]:.1f} s, {megabytes()} MiB", file=sys.stderr, flush=True)
    return result


if __name__ == "__main__":
    main()
