"""Logging in, being recognised, being braked, and being out again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update

from meet2be.accounts.errors import LoginRefused, LoginThrottled, NoTenant
from meet2be.accounts.models import User, WebSession
from meet2be.accounts.passwords import hash_password
from meet2be.accounts.services import (
    Browser,
    Identity,
    SessionLifetime,
    identify,
    log_in,
    log_out,
    note_seen,
    switch_tenant,
    tenants_of,
)
from meet2be.db import Database
from meet2be.tenancy.models import Membership, Tenant
from onqueue.testing import FakeClock

PASSWORD = "a long enough one"
HERE = Browser("192.0.2.1", "a browser")
LIFETIME = SessionLifetime(idle=timedelta(minutes=30), absolute=timedelta(hours=12))


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    with sqlite_database.system_session("test: people") as session:
        tenants = [Tenant(slug=slug, name=slug.title()) for slug in ("aurora", "borealis")]
        person = User(
            email="Ada@Aurora.example",
            email_norm="ada@aurora.example",
            name="Ada",
            password_hash=hash_password(PASSWORD),
        )
        session.add_all([*tenants, person])
        session.flush()
        session.add(Membership(tenant_id=tenants[0].id, user_id=person.id, role="admin"))
        session.commit()
    return sqlite_database


def enter(database: Database, password: str = PASSWORD, email: str = "ada@aurora.example") -> str:
    with database.system_session("test: log in") as session:
        return log_in(session, email, password, HERE, database.clock.now(), LIFETIME)


def who(database: Database, secret: str) -> Identity | None:
    with database.system_session("test: who is it", read_only=True) as session:
        return identify(session, secret, database.clock.now(), LIFETIME)


def test_the_right_password_opens_a_session_with_the_persons_role(database: Database) -> None:
    person = who(database, enter(database, email=" ADA@aurora.EXAMPLE "))
    assert person is not None
    assert (person.user_name, person.role, person.tenant_name) == ("Ada", "admin", "Aurora")


def test_each_log_in_has_a_secret_of_its_own_and_the_database_does_not_know_it(
    database: Database,
) -> None:
    first, second = enter(database), enter(database)
    assert first != second
    with database.system_session("test: look", read_only=True) as session:
        stored = set(session.scalars(select(WebSession.token_hash)))
    assert not stored & {first, second}


@pytest.mark.parametrize("email", ["ada@aurora.example", "nobody@aurora.example"])
def test_a_wrong_password_and_an_unknown_address_are_refused_in_the_same_words(
    database: Database, email: str
) -> None:
    with pytest.raises(LoginRefused, match="do not fit together"):
        enter(database, "wrong", email)


def test_a_disabled_account_is_refused_and_its_sessions_end(database: Database) -> None:
    secret = enter(database)
    with database.system_session("test: disable") as session:
        session.execute(update(User).values(status="disabled"))
        session.commit()
    assert who(database, secret) is None
    with pytest.raises(LoginRefused):
        enter(database)


def test_guessing_is_braked_and_the_brake_lets_go(database: Database, clock: FakeClock) -> None:
    for _ in range(5):
        with pytest.raises(LoginRefused):
            enter(database, "wrong")
    with pytest.raises(LoginThrottled) as caught:
        enter(database)  # even with the right one
    assert 0 < caught.value.retry_after <= 15 * 60
    clock.advance(caught.value.retry_after)
    assert who(database, enter(database)) is not None


def test_the_brake_grows_with_each_wrong_try_but_never_beyond_a_quarter_of_an_hour(
    database: Database, clock: FakeClock
) -> None:
    waits = []
    for _ in range(14):
        try:
            enter(database, "wrong")
        except LoginThrottled as error:
            waits.append(error.retry_after)
            clock.advance(error.retry_after)
        except LoginRefused:
            continue
    assert waits == sorted(waits)
    assert waits[0] < waits[-1] <= 15 * 60


def test_guessing_at_many_addresses_from_one_place_is_braked_too(database: Database) -> None:
    for number in range(30):
        with pytest.raises(LoginRefused):
            enter(database, "wrong", f"person{number}@aurora.example")
    with pytest.raises(LoginThrottled):
        enter(database, "wrong", "another@aurora.example")


def test_a_session_ends_when_nobody_comes_and_after_its_whole_time(
    database: Database, clock: FakeClock
) -> None:
    idle = enter(database)
    clock.advance(31 * 60)
    assert who(database, idle) is None
    used = enter(database)
    for _ in range(26):
        clock.advance(28 * 60)
        person = who(database, used)
        if person is None:
            break
        with database.system_session("test: seen") as session:
            note_seen(session, person, clock.now())
    assert who(database, used) is None  # 12 hours are over, though somebody came all the time


def test_logging_out_ends_one_session_and_no_other(database: Database) -> None:
    here, there = enter(database), enter(database)
    person = who(database, here)
    assert person is not None
    with database.system_session("test: log out") as session:
        log_out(session, person.session_id, database.clock.now())
    assert who(database, here) is None
    assert who(database, there) is not None


def test_nobody_turns_to_an_organisation_that_is_not_theirs(database: Database) -> None:
    person = who(database, enter(database))
    assert person is not None
    with database.system_session("test: switch") as session:
        other = session.scalars(select(Tenant.uid).where(Tenant.slug == "borealis")).one()
        assert [name for _, name in tenants_of(session, person)] == ["Aurora"]
        assert not switch_tenant(session, person, other)


def test_who_loses_the_membership_is_out_at_once(database: Database) -> None:
    secret = enter(database)
    with database.system_session("test: leave") as session:
        session.execute(delete(Membership))
        session.commit()
    assert who(database, secret) is None
    with pytest.raises(NoTenant, match="belongs to no organisation"):
        enter(database)


def test_an_operator_sees_every_organisation(database: Database) -> None:
    with database.system_session("test: promote") as session:
        session.execute(delete(Membership))
        session.execute(update(User).values(is_operator=True))
        session.commit()
    person = who(database, enter(database))
    assert person is not None
    with database.system_session("test: list", read_only=True) as session:
        assert [name for _, name in tenants_of(session, person)] == ["Aurora", "Borealis"]


def test_nobody_waits_for_the_database_while_a_password_is_looked_at(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looked_at(*_: object) -> bool:
        with database.system_session("test: somebody else writes") as session:
            session.execute(update(User).values(name="Ada L."))
            session.commit()
        return True

    monkeypatch.setattr("meet2be.accounts.services.password_fits", looked_at)
    assert who(database, enter(database)) is not None


def test_a_process_that_dies_while_it_looks_at_a_password_has_counted_the_try(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    class _Died(BaseException):
        pass

    def dies(*_: object) -> bool:
        raise _Died

    with monkeypatch.context() as patched:
        patched.setattr("meet2be.accounts.services.password_fits", dies)
        for _ in range(5):
            with pytest.raises(_Died):
                enter(database)
    with pytest.raises(LoginThrottled):
        enter(database)


@pytest.mark.parametrize("change", [{"password_hash": "another"}, {"status": "disabled"}])
def test_who_loses_the_password_while_it_is_looked_at_is_not_let_in(
    database: Database, monkeypatch: pytest.MonkeyPatch, change: dict[str, str]
) -> None:
    def looked_at(*_: object) -> bool:
        with database.system_session("test: the owner is faster") as session:
            session.execute(update(User).values(change))
            session.commit()
        return True

    monkeypatch.setattr("meet2be.accounts.services.password_fits", looked_at)
    with pytest.raises(LoginRefused):
        enter(database)


def test_a_good_password_is_no_wrong_try_whatever_comes_of_it(database: Database) -> None:
    with database.system_session("test: nobody's member") as session:
        session.execute(delete(Membership))
        session.commit()
    for _ in range(8):
        with pytest.raises(NoTenant):
            enter(database)
