"""PostgreSQL itself keeps tenants apart, also from SQL that knows nothing of sessions."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from meet2be.db import Database
from support.factories import make_event, make_tenant

pytestmark = pytest.mark.postgres


@contextmanager
def _as_tenant(database: Database, tenant: int | None) -> Iterator[Connection]:
    with database.engine.begin() as connection:
        if tenant is not None:
            connection.execute(
                text("SELECT set_config('app.tenant', :tenant, true)"), {"tenant": str(tenant)}
            )
        yield connection


def _titles(connection: Connection) -> list[str]:
    return list(connection.scalars(text("SELECT title FROM events ORDER BY title")))


def test_a_transaction_sees_the_tenant_it_names(postgres_database: Database) -> None:
    mine, theirs = make_tenant(postgres_database), make_tenant(postgres_database)
    make_event(postgres_database, mine, title="Mine")
    make_event(postgres_database, theirs, title="Theirs")
    with _as_tenant(postgres_database, mine.id) as connection:
        assert _titles(connection) == ["Mine"]
        assert connection.scalars(text("SELECT id FROM tenants")).all() == [mine.id]
    # The same pooled connection, its setting now an empty string.
    with _as_tenant(postgres_database, None) as connection:
        assert _titles(connection) == []
        assert connection.scalars(text("SELECT id FROM tenants")).all() == []


def test_a_row_cannot_be_written_for_another_tenant(postgres_database: Database) -> None:
    mine, theirs = make_tenant(postgres_database), make_tenant(postgres_database)
    event = make_event(postgres_database, mine)
    for statement in (
        "UPDATE events SET tenant_id = :theirs",
        "INSERT INTO number_series VALUES (:theirs, 'invoice', 2026, 1)",
    ):
        with (
            pytest.raises(DBAPIError, match="row-level security"),
            _as_tenant(postgres_database, mine.id) as connection,
        ):
            connection.execute(text(statement), {"theirs": theirs.id})
    with _as_tenant(postgres_database, theirs.id) as connection:
        changed = connection.execute(text("UPDATE events SET title = 'Stolen'"))
        assert changed.rowcount == 0
    with _as_tenant(postgres_database, mine.id) as connection:
        assert _titles(connection) == [event.title]


@pytest.mark.parametrize(
    "statement",
    ["TRUNCATE events CASCADE", "DROP TABLE events", "DELETE FROM audit_log",
     "ALTER TABLE events DISABLE ROW LEVEL SECURITY",
     "UPDATE alembic_version SET version_num = 'x'"],
)  # fmt: skip
def test_the_application_may_not_touch_the_fence(
    postgres_database: Database, statement: str
) -> None:
    with (
        pytest.raises(DBAPIError, match=r"permission denied|must be owner"),
        postgres_database.engine.begin() as connection,
    ):
        connection.execute(text(statement))
