"""What somebody who leaves takes along, and what does not come back with them."""

import pytest
from sqlalchemy import delete, select

from meet2be.accounts.models import User
from meet2be.api_tokens.models import ApiToken
from meet2be.api_tokens.services import TokenDraft, find_caller, make_token
from meet2be.audit.models import AuditEntry
from meet2be.audit.services import Actor
from meet2be.db import Database
from meet2be.tenancy.models import Membership
from onqueue.testing.clock import FakeClock
from support.inviting import Inviting, inviting


@pytest.fixture
def aurora(sqlite_database: Database, clock: FakeClock) -> Inviting:
    return inviting(sqlite_database, clock)


def token_of(aurora: Inviting, person: User) -> str:
    with aurora.database.tenant_session(aurora.tenant.id) as session:
        draft = TokenDraft("till", ("events:read",), None)
        actor, now = Actor("user", str(person.id)), aurora.clock.now()
        _token, text = make_token(session, draft, person.id, actor, now)
        session.commit()
        return text


def works(aurora: Inviting, text: str) -> bool:
    with aurora.database.system_session("tests", read_only=True) as session:
        return find_caller(session, text, aurora.clock.now()) is not None


def join_again(aurora: Inviting, person: User) -> None:
    aurora.clock.advance(60)
    with aurora.database.tenant_session(aurora.tenant.id) as session:
        session.add(Membership(user_id=person.id, role="viewer"))
        session.commit()


def test_tokens_of_who_was_removed_stay_dead_when_they_come_back(aurora: Inviting) -> None:
    owner, person = aurora.member("owner"), aurora.member("viewer")
    text = token_of(aurora, person)
    assert works(aurora, text)
    aurora.remove(person, by=owner)
    assert not works(aurora, text)
    join_again(aurora, person)
    assert not works(aurora, text)
    assert works(aurora, token_of(aurora, person))
    with aurora.database.tenant_session(aurora.tenant.id) as session:
        revoked = select(AuditEntry).where(AuditEntry.action == "api_token.revoked")
        assert session.scalars(revoked).one().reason == "the person was removed"


def test_a_token_lives_no_longer_than_the_place_it_was_made_under(aurora: Inviting) -> None:
    person = aurora.member("viewer")
    text = token_of(aurora, person)
    with aurora.database.tenant_session(aurora.tenant.id) as session:  # as an undone import does
        session.execute(delete(Membership).where(Membership.user_id == person.id))
        session.commit()
    join_again(aurora, person)
    with aurora.database.tenant_session(aurora.tenant.id) as session:
        assert session.scalars(select(ApiToken)).one().revoked_at is None
    assert not works(aurora, text)
