"""The migrations make exactly the tables the models describe, and can be taken back."""

from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    Connection,
    Engine,
    column,
    create_engine,
    inspect,
    select,
    table,
    text,
    update,
)
from sqlalchemy.pool import NullPool

from meet2be.attendees.models import Attendee
from meet2be.db import NotMigratedError, check_migrated, upgrade
from meet2be.db.errors import DatabaseAwayError, PowerfulRoleError, UnsupportedDatabaseError
from meet2be.db.migrating import (
    MIGRATIONS,
    all_metadata,
    check_role,
    downgrade,
    migration_engine,
    revisions,
    tenant_tables,
)
from meet2be.db.sessions import Database
from meet2be.exports.models import ExportSchedule
from meet2be.mailings.models import MailSuppression
from meet2be.mailings.services import MailDraft, Sender, enqueue
from onqueue.failed.database import DatabaseFailedJobs
from onqueue.failed.tables import failed_job_terms, failed_jobs
from onqueue.stores import FailedFilter
from onqueue.testing.clock import FakeClock
from onqueue.testing.failed_contract import failure, job_id
from support.factories import Ticket, make_event, make_order, make_tenant, make_user
from support.hooks import announce_and_spread, announcement, make_endpoint

NOTICE = {"name": "Ada", "title": "T", "body": "", "link": "", "tenant_name": "A"}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.sqlite'}"
    found: str = request.getfixturevalue("postgres_url")
    return found


def _differences(engine: Engine) -> list[object]:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        # Alembic takes several, its types know of one.
        return list(compare_metadata(context, list(all_metadata())))  # type: ignore[arg-type]


def _checks(engine: Engine) -> set[tuple[str, str | None, str]]:
    """Return every CHECK with its text: alembic itself does not compare those."""
    look = inspect(engine)
    return {
        (table, check["name"], "".join(check["sqltext"].split()).lower())
        for table in look.get_table_names()
        for check in look.get_check_constraints(table)
    }


def test_up_down_and_up_again(url: str) -> None:
    engine = migration_engine(url)
    upgrade(url)
    assert _differences(engine) == []
    downgrade(url, "base")
    assert set(inspect(engine).get_table_names()) <= {"alembic_version"}
    upgrade(url)
    upgrade(url)
    assert _differences(engine) == []


def test_the_files_names_tell_the_steps_as_alembic_knows_them() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    assert [step.revision for step in scripts.walk_revisions()] == revisions()[::-1]
    assert scripts.get_heads() == revisions()[-1:]


def test_each_step_can_be_taken_back(url: str) -> None:
    steps = [f"000{number}" for number in range(1, 8)]
    for step in steps:
        upgrade(url, step)
    for step in [*reversed(steps[:-1]), "base"]:
        downgrade(url, step)
    upgrade(url)
    assert _differences(migration_engine(url)) == []


def test_addresses_get_the_letters_back_that_were_folded_together(url: str) -> None:
    upgrade(url)
    written = ["Anna@faß.de", "Bob@fass.de", "νίκος@x.gr"]
    with closing(Database(url, FakeClock())) as database:
        tenant = make_tenant(database)
        for email in written:
            make_user(database, tenant, email=email)
        with database.tenant_session(tenant.id) as session:
            for email in written:
                draft = MailDraft(
                    tenant_id=tenant.id, kind="test", template="notice", locale="de", to_addr=email,
                    dedupe_key=email, context=NOTICE, sender=Sender("A", "a@example.org"),
                )  # fmt: skip
                mail = enqueue(session, draft, FakeClock().now()).mail_id
                suppressed = MailSuppression(
                    email_norm=email.casefold(), reason="complaint", source_mail_id=mail
                )
                session.add(suppressed)
            session.commit()
    downgrade(url, "0021")
    engine = migration_engine(url)
    norms = [
        (table(name, column(norm)), norm)
        for name, norm in (
            ("users", "email_norm"), ("mails", "to_norm"), ("mail_suppressions", "email_norm"),
        )
    ]  # fmt: skip
    with engine.begin() as connection:
        let_see_all(connection)
        for email in written:
            for written_to, norm in norms:
                folded = update(written_to).where(written_to.c[norm] == email.lower())
                connection.execute(folded.values({norm: email.casefold()}))
    upgrade(url)
    with engine.connect() as connection:
        let_see_all(connection)
        for read, norm in norms:
            found = set(connection.execute(select(read.c[norm])).scalars())
            assert found == {email.lower() for email in written}, read.name


def test_jobs_that_failed_under_an_earlier_release_are_found_by_their_words(
    sqlite_database: Database,
) -> None:
    """B15: by the same terms as if the store had recorded them now, also beyond a slice."""
    url = sqlite_database.engine.url
    engine = migration_engine(url)
    store = DatabaseFailedJobs(engine)
    for number in range(1, 6):
        store.record(failure(number, tags=("vip", "x" * 63, "y" * 200), error_type="HTTPError"))
    store.record(failure(6, error=" ".join(f"Word{number}In" for number in range(100)) + "x" * 99))
    with engine.connect() as connection:
        recorded = set(connection.execute(failed_job_terms.select()).all())
    downgrade(url, "0023")
    with engine.begin() as connection:
        row = dict(connection.execute(failed_jobs.select().limit(1)).mappings().one())
        many = [{**row, "id": f"z{number}"} for number in range(1_000)]
        connection.execute(failed_jobs.insert(), many)
    upgrade(url)
    check_migrated(sqlite_database.engine)
    with engine.connect() as connection:
        filled = set(connection.execute(failed_job_terms.select()).all())
    assert {row for row in filled if row.job_id[0] != "z"} == recorded
    assert len({row.job_id for row in filled}) == 1_006
    assert store.count(FailedFilter(error="mail", tag="vip")) == 1_005
    assert [found.id for found in store.all(FailedFilter(error="mail 4"))] == [job_id(4)]


def let_see_all(connection: Connection) -> None:
    """Pass by the row security of PostgreSQL until the transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT set_config('app.system', 'tests', true)"))


def test_people_of_an_earlier_release_are_found_by_their_names(url: str) -> None:
    """By the same keys as if they had come now."""
    names = ("Zoé Öst", "Ida Meier-Groß", "Dr. Ada von Berg", "Plato", "李小龍")
    people = select(
        Attendee.name_key, Attendee.rest_key, Attendee.last_key, Attendee.email_key,
        Attendee.domain_key, Attendee.company_key, Attendee.code_key,
    ).order_by(Attendee.id)  # fmt: skip
    upgrade(url)
    with closing(Database(url, FakeClock())) as database:
        tenant = make_tenant(database)
        event = make_event(database, tenant)
        made = make_order(database, event, [Ticket(name=name) for name in names])
        with database.tenant_session(tenant.id) as session:
            person = session.get_one(Attendee, made.attendee.id)
            person.company, person.ticket_code = "Müller & Söhne", "İ" * 64
            session.commit()
            before = session.execute(people).all()
        downgrade(url, "0027")
        upgrade(url)
        with database.tenant_session(tenant.id) as session:
            assert session.execute(people).all() == before
    assert before[0].name_key == "zoe ost"


def test_schedules_of_archived_events_rest_and_go_on_where_the_step_is_taken_back(url: str) -> None:
    upgrade(url)
    with closing(Database(url, FakeClock())) as database:
        tenant = make_tenant(database)
        owner = make_user(database, tenant).id
        events = [make_event(database, tenant, status=status) for status in ("live", "archived")]
        with database.tenant_session(tenant.id) as session:
            for event in events:
                session.add(
                    ExportSchedule(
                        event_id=event.id, owner_id=owner, name="x",
                        format="csv", repeat="daily", time_of_day="07:00", timezone="UTC",
                        enabled=True, next_at=database.clock.now(),
                    )
                )  # fmt: skip
            session.commit()
    schedules = table("export_schedules", column("event_id"), column("enabled"), column("next_at"))
    found = []
    for to in ("0032", "0033", "0032"):
        move = upgrade if to == "0033" else downgrade
        move(url, to)
        with migration_engine(url).connect() as connection:
            rows = connection.execute(select(schedules).order_by(schedules.c.event_id)).all()
            found.append([(bool(row.enabled), row.next_at is not None) for row in rows])
    assert found == [[(True, True)] * 2, [(True, True), (False, False)], [(True, True)] * 2]


def test_deliveries_of_an_earlier_release_say_which_body_bears_an_object(url: str) -> None:
    upgrade(url)
    with closing(Database(url, FakeClock())) as database:
        tenant = make_tenant(database).id
        make_endpoint(database, tenant)
        announce_and_spread(database, tenant, *(announcement(number) for number in range(5)))
    bodies = (
        '{"id":"a","object":{"email":"bea@example.org"}}', '{"id":"b","object":null}',
        '{"data":{"object":{"looks":"so"}}}', '{"id":"c"}', 'gone: "object":{',
    )  # fmt: skip
    deliveries = table("webhook_deliveries", column("id"), column("body"), column("has_object"))
    downgrade(url, "0033")
    with migration_engine(url).begin() as connection:
        numbers = connection.scalars(select(deliveries.c.id).order_by(deliveries.c.id)).all()
        for number, body in zip(numbers, bodies, strict=True):
            connection.execute(
                update(deliveries).where(deliveries.c.id == number).values(body=body)
            )
    upgrade(url)
    with migration_engine(url).connect() as connection:
        told = connection.scalars(select(deliveries.c.has_object).order_by(deliveries.c.id)).all()
    assert [bool(each) for each in told] == [True, False, False, False, False]


def test_the_checks_are_those_of_the_models(url: str, tmp_path: Path) -> None:
    upgrade(url)
    migrated = _checks(migration_engine(url))
    downgrade(url, "base")
    engine = migration_engine(url)
    for metadata in all_metadata():
        metadata.create_all(engine)
    assert migrated == _checks(engine)
    assert len(migrated) > 40


def test_a_database_that_is_not_migrated_is_told_what_to_do(url: str) -> None:
    engine = migration_engine(url)
    with pytest.raises(NotMigratedError, match=r"it is empty.*Run `meet2be db upgrade`"):
        check_migrated(engine)
    upgrade(url, "0003")
    with pytest.raises(NotMigratedError, match="the database is at '0003', this release needs"):
        check_migrated(engine)
    upgrade(url)
    check_migrated(engine)


def test_only_databases_we_run_on_are_taken() -> None:
    with pytest.raises(UnsupportedDatabaseError, match="'mysql'"):
        migration_engine("mysql://root@localhost/x")
    with pytest.raises(UnsupportedDatabaseError) as caught:
        migration_engine("no address with a secret")
    assert "secret" not in str(caught.value)


@pytest.mark.postgres
def test_every_tenants_table_is_under_forced_row_security(postgres_url: str) -> None:
    upgrade(postgres_url)
    with migration_engine(postgres_url).connect() as connection:
        forced = set(
            connection.scalars(
                text("SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity")
            )
        )
    assert forced == tenant_tables()


@pytest.mark.postgres
def test_powerful_roles_are_refused(postgres_url: str, postgres_database: Database) -> None:
    upgrade(postgres_url)
    with pytest.raises(PowerfulRoleError, match="is a superuser"):
        check_role(migration_engine(postgres_url))
    own = postgres_database.engine.url.set(username="m2b_owner")
    with pytest.raises(PowerfulRoleError, match="owns the table"):
        check_role(create_engine(own, poolclass=NullPool))
    check_role(postgres_database.engine)


def test_sqlite_has_no_roles_to_refuse(sqlite_database: Database) -> None:
    check_role(sqlite_database.engine)


def test_sqlite_keeps_its_promises(sqlite_database: Database) -> None:
    with sqlite_database.engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in (
                "journal_mode", "synchronous", "foreign_keys", "busy_timeout", "journal_size_limit",
            )
        }  # fmt: skip
    assert pragmas == {
        "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 15_000,
        "journal_size_limit": 64 * 2**20,
    }  # fmt: skip


def test_a_newer_releases_database_is_left_alone(url: str) -> None:
    upgrade(url)
    with migration_engine(url).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    newer = r"'9999'.*made by a newer release"
    with pytest.raises(NotMigratedError, match=newer):
        upgrade(url)
    with pytest.raises(NotMigratedError, match=newer):
        check_migrated(migration_engine(url))


def test_what_is_no_database_is_named_without_its_password(tmp_path: Path) -> None:
    (tmp_path / "letter.sqlite").write_text("Dear all, " * 100)
    away = "postgresql://me:secret@127.0.0.1:1/nowhere"
    for url, why in ((f"sqlite:///{tmp_path}/letter.sqlite", "not a database"), (away, "refused")):
        with pytest.raises(DatabaseAwayError, match=why) as caught:
            upgrade(url)
        with pytest.raises(DatabaseAwayError, match="Check DATABASE_URL"):
            check_migrated(migration_engine(url))
        assert "secret" not in str(caught.value)
