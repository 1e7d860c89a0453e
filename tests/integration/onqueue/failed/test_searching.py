"""Every filter of failed jobs leads over an index, and what was there before is found, too."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Engine, event, text

from onqueue.failed import searching
from onqueue.failed.database import DatabaseFailedJobs
from onqueue.failed.tables import create_all, failed_job_terms, failed_jobs
from onqueue.stores import FailedFilter
from onqueue.testing.clock import START, FakeClock
from onqueue.testing.failed_contract import failure, job_id
from support.sql_engines import engine_for

TABLES = ("failed_jobs", "failed_job_terms")


class Plans:
    """Asks the database how it would carry out each statement that is read."""

    def __init__(self, engine: Engine) -> None:
        """Listen to the engine."""
        self.is_sqlite = engine.dialect.name == "sqlite"
        self.found: list[str] = []
        self._engine = engine
        event.listen(engine, "before_cursor_execute", self._explain)

    def _explain(
        self, _connection: object, cursor: object, statement: str, parameters: object, *_: object
    ) -> None:
        if not statement.startswith(("SELECT", "WITH")):
            return
        if not self.is_sqlite:
            # So few rows would be read one by one rather than by any index.
            cursor.execute("SET enable_seqscan = off")  # type: ignore[attr-defined]
        command = "EXPLAIN QUERY PLAN " if self.is_sqlite else "EXPLAIN "
        cursor.execute(command + statement, parameters)  # type: ignore[attr-defined]
        rows = cursor.fetchall()  # type: ignore[attr-defined]
        self.found += [str(row[-1]) for row in rows]

    def stop(self) -> None:
        """Listen no more."""
        event.remove(self._engine, "before_cursor_execute", self._explain)

    def scans(self) -> list[str]:
        """Return where a table is read row by row, or an index from end to end."""
        if self.is_sqlite:
            pattern = rf"SCAN (?:{'|'.join(TABLES)})"
        else:
            pattern = rf"Seq Scan on (?:{'|'.join(TABLES)})"
        return [line for line in self.found if re.search(pattern, line)]


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """One database of each kind for all: to make one takes longer than a test."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('failed') / 'failed.db'}"
    else:
        url = request.getfixturevalue("postgres_server").create_database()
    made = engine_for(url)
    create_all(made)
    yield made
    made.dispose()


@pytest.fixture
def store(engine: Engine) -> DatabaseFailedJobs:
    """A store of some jobs: mail 1 to 8, every other a VIP's."""
    made = DatabaseFailedJobs(engine, FakeClock())
    made.flush()
    for number in range(1, 9):
        made.record(failure(number, age=number, tags=("vip",) if number % 2 else ()))
    return made


@pytest.fixture
def plans(engine: Engine, store: DatabaseFailedJobs) -> Iterator[Plans]:
    """How what is asked of the store from now on is carried out."""
    assert store.count() == 8
    found = Plans(engine)
    yield found
    found.stop()


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (FailedFilter(connection="redis"), "ix_failed_jobs_connection"),
        (FailedFilter(queue="default"), "ix_failed_jobs_queue"),
        (FailedFilter(job="SendMail"), "ix_failed_jobs_job"),
        (FailedFilter(tenant="acme"), "ix_failed_jobs_tenant"),
        (FailedFilter(group="0" * 32), "ix_failed_jobs_fingerprint"),
        (FailedFilter(group="00ff"), "ix_failed_jobs_fingerprint"),
        (FailedFilter(since=START - timedelta(seconds=4)), "ix_failed_jobs_failed_at"),
        (FailedFilter(until=START - timedelta(seconds=4)), "ix_failed_jobs_failed_at"),
        (FailedFilter(tag="vip"), "ix_failed_job_terms_term"),
        (FailedFilter(error="mail"), "ix_failed_job_terms_term"),
        (FailedFilter(error="mail such 4"), "ix_failed_job_terms_term"),
        (
            FailedFilter(error="mail", queue="default"),
            "ix_failed_job_terms_term|ix_failed_jobs_queue",
        ),
    ],
    ids=str,
)
def test_a_filter_is_read_along_its_index(
    plans: Plans, store: DatabaseFailedJobs, wanted: FailedFilter, index: str
) -> None:
    """B15: the first page, one behind it, and the count."""
    for look in (
        lambda: store.all(wanted),
        lambda: store.all(wanted, after=job_id(2)),
        lambda: store.count(wanted),
    ):
        plans.found.clear()
        look()
        assert plans.scans() == []
        # Of so few rows PostgreSQL may take any index that has the column, not always the best.
        wants = index if plans.is_sqlite else "Index Cond"
        assert any(re.search(wants, line) for line in plans.found), plans.found


def test_a_page_far_behind_begins_where_it_is(plans: Plans, store: DatabaseFailedJobs) -> None:
    """B15: its place is a bound of the index, not a condition on each row before it."""
    store.all(after=job_id(2))
    bound = r"failed_at<\?" if plans.is_sqlite else r"Index Cond: .*failed_at <= "
    assert any(re.search(bound, line) for line in plans.found), plans.found


@pytest.mark.parametrize(("many", "forms"), [(10_000, 32), (2, 32), (2, 2)])
def test_however_many_have_a_word_the_answer_is_the_same(
    store: DatabaseFailedJobs, monkeypatch: pytest.MonkeyPatch, many: int, forms: int
) -> None:
    """B15: sorted, along each of its forms, or among all."""
    monkeypatch.setattr(searching, "MANY", many)
    monkeypatch.setattr(searching, "FORMS", forms)
    for number in range(11, 15):
        store.record(failure(number, age=number, error=f"mailbox{number} mails", tags=("vip",)))
    everything = [*range(1, 9), *range(11, 15)]
    vips = [number for number in everything if number % 2 or number > 10]
    for wanted, numbers in (
        (FailedFilter(error="mail"), everything),
        (FailedFilter(error="mail", tag="vip"), vips),
        (FailedFilter(error="mail", tenant="acme"), everything),
        (FailedFilter(error="mail", tenant="nobody"), []),
        (FailedFilter(error="mailb mails"), [11, 12, 13, 14]),
    ):
        found, after = [], None
        while page := store.all(wanted, limit=3, after=after):
            found += [failed.id for failed in page]
            after = page[-1].id
        assert found == [job_id(number) for number in numbers]


def test_what_an_earlier_release_left_is_found_once_the_tables_are_made_again(
    engine: Engine, store: DatabaseFailedJobs, plans: Plans, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B15: for those who have no migrations of their own."""
    monkeypatch.setattr("onqueue.failed.tables.SLICE", 3)
    with engine.begin() as connection:
        wanted = set(connection.execute(failed_job_terms.select()).all())
        connection.execute(text("DROP TABLE failed_job_terms"))
        connection.execute(text("DROP INDEX ix_failed_jobs_connection"))
    for _ in range(2):
        create_all(engine)
        with engine.connect() as connection:
            assert set(connection.execute(failed_job_terms.select()).all()) == wanted
    assert len(store.all(FailedFilter(tag="vip", error="mail"))) == 4
    plans.found.clear()
    store.count(FailedFilter(connection="other"))
    assert any("ix_failed_jobs_connection" in line for line in plans.found), plans.found


def test_no_term_outlives_its_job(
    engine: Engine, store: DatabaseFailedJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B15: also where one flush deletes more than a slice."""
    monkeypatch.setattr("onqueue.failed.database.SLICE", 3)
    store.forget(job_id(1))
    store.retry(job_id(2), lambda _failed, _token: True)
    assert store.flush(older_than=3.5) == 5
    left = failed_job_terms.select().with_only_columns(failed_job_terms.c.job_id).distinct()
    with engine.connect() as connection:
        assert connection.scalars(left).all() == [job_id(3)]
        assert connection.scalars(failed_jobs.select()).all() == [job_id(3)]
    assert store.flush() == 1
    with engine.connect() as connection:
        assert connection.scalars(left).all() == []


def leave_terms_alone(engine: Engine, *numbers: int) -> None:
    """Delete failed jobs as an earlier release does, which knows nothing of terms."""
    with engine.begin() as connection:
        for number in numbers:
            connection.execute(failed_jobs.delete().where(failed_jobs.c.id == job_id(number)))


def test_a_job_whose_old_terms_were_left_can_fail_again(
    engine: Engine, store: DatabaseFailedJobs
) -> None:
    """B15: an earlier release retried it, and is found by its newest failure alone."""
    leave_terms_alone(engine, 1)
    store.record(failure(1, error="no such letter"))
    assert [failed.id for failed in store.all(FailedFilter(error="letter"))] == [job_id(1)]
    assert store.count(FailedFilter(error="mail")) == 7


@pytest.mark.parametrize("many", [10_000, 2])
def test_terms_without_a_job_are_found_by_nobody(
    engine: Engine, store: DatabaseFailedJobs, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    """B15: neither counted nor in the place of a page, until a flush by age deletes them."""
    monkeypatch.setattr(searching, "MANY", many)
    monkeypatch.setattr("onqueue.failed.database.SLICE", 1)
    leave_terms_alone(engine, 1, 2, 3)
    wanted = FailedFilter(error="mail")
    assert store.count(wanted) == 5
    assert [failed.id for failed in store.all(wanted, limit=2)] == [job_id(4), job_id(5)]
    assert sum(group.count for group in store.groups(wanted)) == 5
    assert store.flush(older_than=3600) == 0
    left = failed_job_terms.select().with_only_columns(failed_job_terms.c.job_id).distinct()
    with engine.connect() as connection:
        assert set(connection.scalars(left)) == {job_id(number) for number in range(4, 9)}


@pytest.mark.parametrize(
    "engine", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
def test_a_job_that_fails_while_all_are_flushed_keeps_what_belongs_to_it(
    engine: Engine, store: DatabaseFailedJobs
) -> None:
    """B15: its log and its terms, too, where several write at once."""
    other = engine_for(engine.url.render_as_string(hide_password=False))

    def fail(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement == "DELETE FROM failed_jobs":
            DatabaseFailedJobs(other).record(failure(9, tags=("vip",)))

    event.listen(engine, "after_cursor_execute", fail)
    try:
        assert store.flush() == 8
    finally:
        event.remove(engine, "after_cursor_execute", fail)
        other.dispose()
    assert [failed.id for failed in store.all(FailedFilter(tag="vip"))] == [job_id(9)]
    assert len(store.failures(job_id(9))) == 1
    with engine.connect() as connection:
        assert connection.scalars(failed_job_terms.select()).first() == job_id(9)


def test_the_newest_of_each_group_are_looked_up_without_all_others(
    store: DatabaseFailedJobs, engine: Engine
) -> None:
    """B14: what fits is listed once, for the counting, however many groups there are."""
    for number in range(11, 14):
        store.record(failure(number, age=number, error_type=f"Kind{number}", error="no mail"))
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        found = store.groups(FailedFilter(error="mail"))
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert [group.newest for group in found] == [job_id(number) for number in (1, 11, 12, 13)]
    assert sum(" IN (SELECT" in statement for statement in statements) == 1


@pytest.mark.parametrize(
    "engine", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
def test_a_group_stays_listed_when_its_newest_job_is_retried_meanwhile(
    store: DatabaseFailedJobs, engine: Engine
) -> None:
    """B14: where each look sees what others did since the last one."""
    elsewhere = engine_for(engine.url.render_as_string(hide_password=False))
    other = DatabaseFailedJobs(elsewhere)
    newest = store.groups(FailedFilter(error="mail"))[0].newest
    looked = False

    def retry(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal looked
        if "GROUP BY" in statement and not looked:
            looked = True
            assert other.forget(newest)

    event.listen(engine, "after_cursor_execute", retry)
    try:
        [group] = store.groups(FailedFilter(error="mail"))
    finally:
        event.remove(engine, "after_cursor_execute", retry)
        elsewhere.dispose()
    assert looked
    assert group.newest != newest


def test_jobs_without_terms_get_them_at_the_next_start_or_flush_by_age(
    engine: Engine, store: DatabaseFailedJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B15: what an earlier release recorded, or a start that died did not get to."""
    monkeypatch.setattr("onqueue.failed.tables.SLICE", 2)
    newest = {job_id(number) for number in (1, 2, 3, 4, 5)}
    for make_good in (lambda: create_all(engine), lambda: store.flush(older_than=3600)):
        with engine.begin() as connection:
            wanted = set(connection.execute(failed_job_terms.select()).all())
            term = failed_job_terms.c
            connection.execute(failed_job_terms.delete().where(term.job_id.in_(newest)))
            # This one failed again: its row is of another failure than its terms.
            change = failed_job_terms.update().where(term.job_id == job_id(7))
            connection.execute(change.values(failed_at=START - timedelta(days=1)))
        assert store.count(FailedFilter(error="mail")) == 3
        make_good()
        with engine.connect() as connection:
            assert set(connection.execute(failed_job_terms.select()).all()) == wanted


def test_several_may_write_missing_terms_at_once(engine: Engine, store: DatabaseFailedJobs) -> None:
    """B15: none of them meets what another one wrote."""
    with engine.begin() as connection:
        wanted = set(connection.execute(failed_job_terms.select()).all())
        connection.execute(failed_job_terms.delete())
    engines = [engine_for(engine.url.render_as_string(hide_password=False)) for _ in range(3)]
    with ThreadPoolExecutor(len(engines)) as pool:
        for done in [pool.submit(create_all, other) for other in engines]:
            done.result()
    for other in engines:
        other.dispose()
    with engine.connect() as connection:
        assert set(connection.execute(failed_job_terms.select()).all()) == wanted
    assert store.count(FailedFilter(error="mail")) == 8
