"""The schema: bringing a database to this release, checking that it is, and its roles.

Alembic is imported where tables are changed only: every process checks at its start where the
database stands, and would wait for the library and for all steps to be read.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, Engine, MetaData, create_engine, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from meet2be.db.engine import BUSY_TIMEOUT_SECONDS, normal_url
from meet2be.db.errors import (
    DatabaseAwayError,
    MigrationsMissingError,
    NotMigratedError,
    PowerfulRoleError,
)
from meet2be.db.tables import load_models
from onqueue.failed.tables import metadata as failed_metadata
from onqueue.outbox.tables import metadata as outbox_metadata

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS: Final = Path(__file__).resolve().parents[3] / "migrations"
URL_ATTRIBUTE: Final = "meet2be_url"


def all_metadata() -> tuple[MetaData, ...]:
    """Return the metadata of every table in the database: the platform's and the queue's."""
    return load_models(), outbox_metadata, failed_metadata


def upgrade(database_url: str | URL, revision: str = "head") -> None:
    """Bring the database to `revision`. Several may do so at once: one works, the others wait.

    On PostgreSQL the address must be that of the tables' owner. Raises NotMigratedError when the
    database is a newer release's, DatabaseAwayError when it does not answer.
    """
    from alembic import command

    _head(migration_engine(database_url))
    command.upgrade(_config(database_url), revision)


def downgrade(database_url: str | URL, revision: str) -> None:
    """Take the database back to `revision` ("base" is empty); what later steps held is lost."""
    from alembic import command

    command.downgrade(_config(database_url), revision)


def check_migrated(engine: Engine) -> None:
    """Raise NotMigratedError unless the database is exactly at this release's schema.

    DatabaseAwayError when it does not answer.
    """
    found = _head(engine)
    if found != (newest := revisions()[-1]):
        raise NotMigratedError(() if found is None else (found,), (newest,))


def revisions() -> list[str]:
    """Return the names of all steps in their order, told from their files' names."""
    steps = (Path(_folder()) / "versions").glob("[0-9]*.py")
    return sorted(path.name.partition("_")[0] for path in steps)


def _head(engine: Engine) -> str | None:
    """Return where the database stands, unless only a newer release could know what that is."""
    try:
        with engine.connect() as connection:
            found = _written_head(connection)
    except DBAPIError as error:
        address = engine.url.render_as_string(hide_password=True)
        raise DatabaseAwayError(address, str(error.orig).strip().rstrip(".")) from error
    known = revisions()
    if found is not None and found not in known:
        raise NotMigratedError([found], [known[-1]], is_known=False)
    return found


def _written_head(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def check_role(engine: Engine) -> None:
    """Raise PowerfulRoleError where PostgreSQL would not hold this log-in to its tenant.

    For the start of a production system. SQLite has no roles and always passes.
    """
    if engine.dialect.name != "postgresql":
        return
    with engine.connect() as connection:
        role, is_super, bypasses = connection.execute(
            text("SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname=current_user")
        ).one()
        if is_super:
            raise PowerfulRoleError(role, "is a superuser")
        if bypasses:
            raise PowerfulRoleError(role, "has BYPASSRLS")
        _check_tables(connection, role)


def _check_tables(connection: Connection, role: str) -> None:
    rows = connection.execute(
        text(
            "SELECT relname, pg_has_role(current_user, relowner, 'MEMBER'),"
            " relrowsecurity AND relforcerowsecurity FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = to_regnamespace(current_schema())"
        )
    )
    guarded = tenant_tables()
    for table, owns, forced in rows:
        if owns:
            raise PowerfulRoleError(role, f"owns the table '{table}'")
        if table in guarded and not forced:
            raise PowerfulRoleError(role, f"meets no forced row security on '{table}'")


def tenant_tables() -> frozenset[str]:
    """Return the names of all tables whose rows belong to tenants."""
    return frozenset(
        table.name
        for table in load_models().tables.values()
        if table.info.get("tenant_owned") or table.name == "tenants"
    )


def grant_runtime(owner_url: str | URL, role: str) -> None:
    """Let the application's role read and write rows, and nothing else (no DDL, no TRUNCATE)."""
    engine = create_engine(normal_url(owner_url), poolclass=NullPool)
    quoted = engine.dialect.identifier_preparer.quote_identifier(role)
    with engine.begin() as connection:
        for statement in (
            f"GRANT USAGE ON SCHEMA public TO {quoted}",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {quoted}",
            f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {quoted}",
            f"REVOKE UPDATE, DELETE ON audit_log FROM {quoted}",
            f"REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {quoted}",
        ):
            connection.execute(text(statement))


def migration_engine(database_url: str | URL) -> Engine:
    """Return the plain engine migrations run on: no guard, no clock, one connection."""
    url = normal_url(database_url)
    waits = {"timeout": BUSY_TIMEOUT_SECONDS} if url.get_backend_name() == "sqlite" else {}
    return create_engine(url, poolclass=NullPool, connect_args=waits)


def _config(database_url: str | URL) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", _folder().replace("%", "%%"))
    config.attributes[URL_ATTRIBUTE] = normal_url(database_url)
    return config


def _folder() -> str:
    if not (MIGRATIONS / "env.py").is_file():
        raise MigrationsMissingError(str(MIGRATIONS))
    return str(MIGRATIONS)
