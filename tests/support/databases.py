"""Migrated databases for tests: made once a run, copied or emptied for each test.

`database` gives a test each kind in turn. On PostgreSQL the tests work as a role that owns
nothing, as in production, so that row-level security binds them.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from meet2be.db import Database, upgrade
from meet2be.db.migrating import all_metadata, grant_runtime
from onqueue.testing.clock import FakeClock
from support.connections import LASTING
from support.kept import keep_statements
from support.servers import PostgresServer

OWNER = "m2b_owner"
RUNTIME = "m2b_app"
TABLES = sorted(table.name for metadata in all_metadata() for table in metadata.tables.values())

# To delete the few rows of a test costs a thirtieth of making all tables' files anew, which is for
# many rows, the dead ones of earlier tests among them: no test may depend on those before it.
_EMPTYING = """
CREATE FUNCTION pg_temp.empty_all() RETURNS void LANGUAGE plpgsql AS $$
DECLARE of_table text; of_sequence regclass; found bigint;
BEGIN
  FOREACH of_table IN ARRAY string_to_array('@tables', ', ') LOOP
    EXECUTE format('SELECT count(*) FROM (SELECT FROM %I LIMIT 501) AS part', of_table) INTO found;
    IF found > 500 OR pg_relation_size(of_table::regclass) > 262144 THEN
      TRUNCATE @tables RESTART IDENTITY CASCADE;
      RETURN;
    ELSIF found > 0 THEN
      EXECUTE format('DELETE FROM %I', of_table);
    END IF;
  END LOOP;
  FOR of_sequence IN
    SELECT oid FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace
  LOOP
    EXECUTE format('SELECT count(*) FROM %s WHERE is_called', of_sequence) INTO found;
    IF found > 0 THEN
      PERFORM setval(of_sequence, 1, false);
    END IF;
  END LOOP;
END $$
""".replace("@tables", ", ".join(TABLES))


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


@pytest.fixture(scope="session")
def postgres_housekeeping(
    postgres_server: PostgresServer, postgres_template: str
) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """The superuser's connection that empties the migrated database; it knows its tables by now."""
    with postgres_server.connect(postgres_template) as connection:
        # The audit log's trigger would refuse, and all references end together.
        connection.execute("SET session_replication_role = replica")
        connection.execute(_EMPTYING.encode())
        LASTING.append(connection)
        yield connection


@pytest.fixture
def postgres_database(
    postgres_server: PostgresServer,
    postgres_template: str,
    postgres_housekeeping: psycopg.Connection[tuple[object, ...]],
    clock: FakeClock,
) -> Iterator[Database]:
    """A migrated, emptied PostgreSQL database, connected to as the application's role."""
    database = Database(postgres_server.url(postgres_template, RUNTIME), clock)
    keep_statements(database)
    yield database
    database.close()
    postgres_housekeeping.execute("SELECT pg_temp.empty_all()")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> Database:
    """A migrated, empty database of each kind in turn."""
    wanted = "sqlite_database" if request.param == "sqlite" else "postgres_database"
    found: Database = request.getfixturevalue(wanted)
    return found
