"""What a new password ends: every other link that was mailed, and every other log-in."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from meet2be.accounts import own, resets
from meet2be.accounts.models import User, WebSession
from meet2be.accounts.newcomers import AccountJustMade, make_person
from meet2be.accounts.passwords import hash_password
from meet2be.accounts.resets import RESET, WELCOME
from meet2be.accounts.services import Browser, SessionLifetime, open_session
from meet2be.accounts.tokens import TokenRefused, issue, look_up
from meet2be.db import Database
from onqueue.testing.clock import FakeClock
from support.inviting import NEW_PASSWORD, SENDER, Inviting, inviting

HERE = Browser("192.0.2.1", "a browser")
OLD = "a long enough one 5"


@pytest.fixture
def aurora(sqlite_database: Database, clock: FakeClock) -> Inviting:
    return inviting(sqlite_database, clock)


def link(aurora: Inviting, person: User, purpose: str) -> str:
    with aurora.database.system_session("tests") as session:
        tenant = aurora.tenant.id if purpose == WELCOME else None
        now = aurora.clock.now()
        secret = issue(session, person.id, purpose, timedelta(hours=1), now, tenant)
        session.commit()
        return secret


def is_open(aurora: Inviting, secret: str, purpose: str) -> bool:
    with aurora.database.system_session("tests", read_only=True) as session:
        try:
            look_up(session, secret, purpose, aurora.clock.now() - timedelta(minutes=5))
        except TokenRefused:
            return False
        return True


def choose(aurora: Inviting, secret: str, purpose: str) -> None:
    with aurora.database.system_session("tests") as session:
        now = aurora.clock.now()
        resets.choose(session, secret, purpose, NEW_PASSWORD, HERE, now, SENDER, "http://x")
        session.commit()


def test_a_reset_password_ends_the_other_links_also_for_who_began_before(aurora: Inviting) -> None:
    person = aurora.member("viewer", status="invited")
    welcome, reset = link(aurora, person, WELCOME), link(aurora, person, RESET)
    aurora.clock.advance(10)
    choose(aurora, reset, RESET)
    assert not is_open(aurora, welcome, WELCOME)
    with pytest.raises(TokenRefused):
        choose(aurora, welcome, WELCOME)


def test_a_changed_password_ends_the_links_that_were_asked_for(aurora: Inviting) -> None:
    person = aurora.member("viewer", password_hash=hash_password(OLD))
    reset = link(aurora, person, RESET)
    with aurora.database.system_session("tests") as session:
        now = aurora.clock.now()
        own.change_password(
            session, person.id, 0, OLD, NEW_PASSWORD, HERE, now, SENDER, "http://x"
        )  # fmt: skip
        session.commit()
    assert not is_open(aurora, reset, RESET)


def test_a_welcome_is_refused_once_its_person_has_a_password(aurora: Inviting) -> None:
    person = aurora.member("viewer", password_hash=hash_password(OLD))
    welcome = link(aurora, person, WELCOME)  # its mail left while they set one elsewhere
    with aurora.database.system_session("tests") as session, pytest.raises(TokenRefused):
        resets.whose(session, welcome, WELCOME, aurora.clock.now())
    with pytest.raises(TokenRefused):
        choose(aurora, welcome, WELCOME)


def test_joining_ends_what_was_open_before_there_was_a_password(aurora: Inviting) -> None:
    brought = aurora.member("viewer", status="invited", email="nora@example.org")
    welcome = link(aurora, brought, WELCOME)
    with aurora.database.system_session("tests") as session:
        lifetime = SessionLifetime()
        open_session(session, brought.id, aurora.tenant.id, HERE, aurora.clock.now(), lifetime)
        session.commit()
    other = aurora.elsewhere()
    secret = other.invite(other.member("owner"), "owner", "nora@example.org", "viewer")
    joined = other.join(secret)
    assert joined.id == brought.id
    assert not is_open(aurora, welcome, WELCOME)
    with aurora.database.system_session("tests", read_only=True) as session:
        assert session.scalars(select(WebSession)).one().revoked_at is not None


def test_nobody_s_password_is_set_a_second_time_by_a_link_for_newcomers(aurora: Inviting) -> None:
    person = aurora.member("viewer", password_hash=hash_password(OLD))
    with aurora.database.system_session("tests") as session, pytest.raises(AccountJustMade):
        make_person(session, person.email, "Mallory", NEW_PASSWORD, "en-GB", aurora.clock.now())
