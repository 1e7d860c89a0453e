"""Plain connections and prepared statements: quick, and still in the tenant's name."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from meet2be.db import Database
from meet2be.db.columns import NaiveDatetimeError
from meet2be.db.errors import UnknownTenantError
from meet2be.db.prepared import NotPreparable, NoTransaction, Prepared, PreparedSelect
from meet2be.db.sessions import NoReasonError
from meet2be.events.models import Event
from meet2be.mailings.models import MailSuppression
from onqueue.testing import FakeClock
from support.factories import make_event, make_tenant

CHANGE = Prepared(
    update(Event.__table__)  # type: ignore[arg-type]
    .where(Event.__table__.c.id == bindparam("event"))
    .values(
        title=bindparam("new_title"),
        slug=bindparam("new_slug"),
        starts_at=bindparam("starts"),
        updated_at=bindparam("starts"),
        timezone="Europe/Paris",
    )
)


def test_values_arrive_as_sqlalchemy_would_write_them(database: Database, clock: FakeClock) -> None:
    event = make_event(database, make_tenant(database))
    starts = clock.now().astimezone()
    values = {"event": event.id, "new_title": "Ähm", "new_slug": "x", "starts": starts}
    with database.tenant_connection(event.tenant_id) as connection, connection.begin():
        assert CHANGE.run(connection, values) == 1
        assert CHANGE.run(connection, {**values, "event": event.id + 1}) == 0
    with database.tenant_session(event.tenant_id, read_only=True) as session:
        found = session.get_one(Event, event.id)
        assert (found.title, found.starts_at, found.timezone) == ("Ähm", starts, "Europe/Paris")


def test_many_rows_are_changed_in_one_run_and_counted(database: Database, clock: FakeClock) -> None:
    tenant = make_tenant(database)
    events = [make_event(database, tenant) for _ in range(3)]
    days = [clock.now(), clock.now(), clock.now() + timedelta(days=1)]
    rows: list[dict[str, Any]] = [
        {"event": each.id, "new_title": f"T{each.id}", "new_slug": f"s{each.id}", "starts": day}
        for each, day in zip(events, days, strict=True)
    ]
    with database.tenant_connection(tenant.id) as connection, connection.begin():
        assert CHANGE.run_many(connection, [*rows, {**rows[0], "event": events[-1].id + 1}]) == 3
        assert CHANGE.run_many(connection, []) == 0
    with database.tenant_session(tenant.id, read_only=True) as session:
        found = [session.get_one(Event, each.id) for each in events]
    assert [(each.title, each.slug, each.starts_at) for each in found] == [
        (row["new_title"], row["new_slug"], row["starts"]) for row in rows
    ]
    assert {each.timezone for each in found} == {"Europe/Paris"}


def test_of_many_rows_none_may_lack_a_value(database: Database, clock: FakeClock) -> None:
    event = make_event(database, make_tenant(database))
    short = {"event": event.id, "new_title": "x", "starts": clock.now()}
    with (
        database.tenant_connection(event.tenant_id) as connection,
        connection.begin(),
        pytest.raises(KeyError, match="new_slug"),
    ):
        CHANGE.run_many(connection, [{**short, "new_slug": "x"}, short])


def test_what_is_not_committed_is_not_there(database: Database, clock: FakeClock) -> None:
    event = make_event(database, make_tenant(database))
    values = {"event": event.id, "new_title": "Lost", "new_slug": "x", "starts": clock.now()}
    with database.tenant_connection(event.tenant_id) as connection:
        connection.begin()
        CHANGE.run(connection, values)
        connection.rollback()
    with database.tenant_session(event.tenant_id, read_only=True) as session:
        assert session.get_one(Event, event.id).title == event.title


@pytest.mark.postgres
def test_row_security_knows_the_tenant_of_each_transaction_of_a_connection(
    postgres_database: Database, clock: FakeClock
) -> None:
    mine, theirs = make_tenant(postgres_database), make_tenant(postgres_database)
    event = make_event(postgres_database, mine)
    values = {"event": event.id, "new_title": "x", "new_slug": "x", "starts": clock.now()}
    with postgres_database.tenant_connection(theirs.id) as connection:
        for _ in range(2):
            with connection.begin():
                assert CHANGE.run(connection, values) == 0
    with postgres_database.tenant_connection(mine.id) as connection:
        for _ in range(2):
            with connection.begin():
                assert CHANGE.run(connection, values) == 1
    with postgres_database.system_connection("tests: all") as connection, connection.begin():
        assert CHANGE.run(connection, values) == 1


def test_a_connection_for_looking_writes_nothing_on_postgresql(
    postgres_database: Database, clock: FakeClock
) -> None:
    event = make_event(postgres_database, make_tenant(postgres_database))
    values = {"event": event.id, "new_title": "x", "new_slug": "x", "starts": clock.now()}
    with (
        postgres_database.system_connection("tests: look", read_only=True) as connection,
        pytest.raises(DBAPIError, match="read-only transaction"),
        connection.begin(),
    ):
        CHANGE.run(connection, values)


def test_a_connection_for_looking_does_not_wait_for_writers_on_sqlite(
    sqlite_database: Database,
) -> None:
    event = make_event(sqlite_database, make_tenant(sqlite_database))
    with (
        sqlite_database.system_connection("tests: write") as writer,
        writer.begin(),
        sqlite_database.system_connection("tests: look", read_only=True) as reader,
        reader.begin(),
    ):
        assert len(FIND.rows(reader, {"one": event.id, "other": event.id})) == 1


def test_a_driver_s_error_becomes_sqlalchemy_s(database: Database, clock: FakeClock) -> None:
    tenant = make_tenant(database)
    one, two = make_event(database, tenant), make_event(database, tenant)
    values = {
        "event": two.id, "new_title": "x", "new_slug": one.slug, "starts": clock.now()
    }  # fmt: skip
    with database.tenant_connection(tenant.id) as connection:
        with pytest.raises(IntegrityError, match="UPDATE events"), connection.begin():
            CHANGE.run(connection, values)
        with pytest.raises(NaiveDatetimeError), connection.begin():
            CHANGE.run(connection, {**values, "starts": clock.now().replace(tzinfo=None)})


def test_outside_a_transaction_nothing_runs(database: Database) -> None:
    tenant = make_tenant(database)
    with database.tenant_connection(tenant.id) as connection:
        with pytest.raises(NoTransaction):
            CHANGE.run(connection, {})
        with pytest.raises(NoTransaction):
            CHANGE.run_many(connection, [])


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        (insert(MailSuppression).values(email_norm="x", reason="manual"), "computed"),
        (delete(MailSuppression).where(MailSuppression.id.in_([1, 2])), "a list"),
        (delete(MailSuppression).returning(MailSuppression.id), "RETURNING"),
    ],
)
def test_a_statement_that_needs_more_is_refused(
    sqlite_database: Database, statement: object, what: str
) -> None:
    with (
        sqlite_database.system_connection("tests: try") as connection,
        connection.begin(),
        pytest.raises(NotPreparable, match=what),
    ):
        Prepared(statement).run(connection, {})  # type: ignore[arg-type]


def test_a_connection_needs_a_tenant_or_a_reason(sqlite_database: Database) -> None:
    with pytest.raises(UnknownTenantError):
        sqlite_database.tenant_connection(0)
    with pytest.raises(NoReasonError):
        sqlite_database.system_connection(" ")


def test_a_transaction_that_cannot_begin_says_so_as_sqlalchemy_does(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meet2be.db.engine.BUSY_TIMEOUT_SECONDS", 0.02)
    impatient = Database(sqlite_database.engine.url, sqlite_database.clock)
    with (
        sqlite_database.system_connection("tests: hold the lock") as holder,
        impatient.system_connection("tests: want it too") as other,
        holder.begin(),
        pytest.raises(OperationalError, match="database is locked"),
    ):
        other.begin()
    impatient.close()


FIND = PreparedSelect(
    select(Event.title, Event.starts_at, Event.__table__.c.tenant_id).where(
        Event.id.in_([bindparam("one"), bindparam("other")])
    )
)


def test_rows_are_read_as_sqlalchemy_would_read_them(database: Database, clock: FakeClock) -> None:
    tenant = make_tenant(database)
    event = make_event(database, tenant)
    with database.tenant_connection(tenant.id) as connection:
        with pytest.raises(NoTransaction):
            FIND.rows(connection, {"one": event.id, "other": event.id})
        connection.begin()
        found = FIND.rows(connection, {"one": event.id, "other": event.id + 1})
    assert found == [(event.title, event.starts_at, tenant.id)]
    assert found[0][1].tzinfo is not None
