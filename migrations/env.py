"""How the steps in versions/ are run: one transaction for all, one runner at a time."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from meet2be.config import Settings
from meet2be.db.migrating import URL_ATTRIBUTE, all_metadata, migration_engine

# Any number does, as long as nobody else in the database uses it.
LOCK = 7_264_033_201


def database_url() -> object:
    """The address handed in by `meet2be.db.upgrade`, else the owner's of the settings."""
    given = context.config.attributes.get(URL_ATTRIBUTE)
    return given if given is not None else Settings.from_env().database.owner_url


def begin(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        # Tables are rebuilt without their children noticing; checked again at the end.
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        # Row security is forced on the owner too; steps that move data must see all rows.
        connection.exec_driver_sql("SELECT set_config('app.system', 'migration', true)")


def run(connection: Connection) -> None:
    sqlite = connection.dialect.name == "sqlite"
    driver = connection.connection.driver_connection
    if sqlite and driver is not None:
        # The driver would commit before each DDL statement; transactions are begun by hand.
        driver.isolation_level = None
    context.configure(
        connection=connection,
        target_metadata=all_metadata(),
        transactional_ddl=True,
        render_as_batch=sqlite,
    )
    begin(connection)
    with context.begin_transaction():
        context.run_migrations()
    if connection.in_transaction():
        connection.commit()


if context.is_offline_mode():
    context.configure(url=str(database_url()), literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = migration_engine(database_url())  # type: ignore[arg-type]
    with engine.connect() as connection:
        run(connection)
