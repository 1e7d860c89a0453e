"""Migrated databases for tests: made once a run, copied or emptied for each test.

`database` gives a test each kind in turn. On PostgreSQL the tests work as a role that owns
nothing, as in production, so that row-level security binds them.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from meet2be.db import Database, upgrade
from meet2be.db.migrating import all_metadata, grant_runtime
from onqueue.testing.clock import FakeClock
from support.kept import keep_statements
from support.servers import PostgresServer

OWNER = "m2b_owner"
RUNTIME = "m2b_app"
TABLES = sorted(table.name for metadata in all_metadata() for table in metadata.tables.values())


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still; rows are stamped with it."""
    return FakeClock()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("template") / "meet2be.sqlite"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_database(sqlite_template: Path, tmp_path: Path, clock: FakeClock) -> Iterator[Database]:
    """A migrated, empty SQLite database."""
    path = tmp_path / "meet2be.sqlite"
    shutil.copyfile(sqlite_template, path)
    database = Database(f"sqlite:///{path}", clock)
    keep_statements(database)
    yield database
    database.close()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    """The name of a migrated PostgreSQL database; its owner is no superuser."""
    url = make_url(postgres_server.create_database())
    name = str(url.database)
    with postgres_server.connect() as connection:
        connection.execute(f"CREATE ROLE {OWNER} LOGIN")
        connection.execute(f"CREATE ROLE {RUNTIME} LOGIN")
        connection.execute(f"ALTER DATABASE {name} OWNER TO {OWNER}")
    with postgres_server.connect(name) as connection:
        connection.execute(f"ALTER SCHEMA public OWNER TO {OWNER}")
    owner_url = postgres_server.url(name, OWNER)
    upgrade(owner_url)
    grant_runtime(owner_url, RUNTIME)
    return name


@pytest.fixture
def postgres_database(
    postgres_server: PostgresServer, postgres_template: str, clock: FakeClock
) -> Iterator[Database]:
    """A migrated, emptied PostgreSQL database, connected to as the application's role."""
    database = Database(postgres_server.url(postgres_template, RUNTIME), clock)
    keep_statements(database)
    yield database
    database.close()
    with postgres_server.connect(postgres_template) as connection:
        # Emptying takes a tenth of the time of a new copy; the audit log's trigger would refuse.
        connection.execute("SET session_replication_role = replica")
        tables = ", ".join(TABLES)
        connection.execute(f"TRUNCATE {tables} RESTART IDENTITY CASCADE".encode())


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> Database:
    """A migrated, empty database of each kind in turn."""
    wanted = "sqlite_database" if request.param == "sqlite" else "postgres_database"
    found: Database = request.getfixturevalue(wanted)
    return found
