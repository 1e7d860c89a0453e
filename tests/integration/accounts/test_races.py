"""Two people at the same moment, on the server that lets both in: one of them gets an answer."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from meet2be.accounts.members import LastOwner
from meet2be.accounts.services import Browser
from meet2be.db import Database
from meet2be.organisations import sign_up
from meet2be.tenancy.models import Membership, Tenant
from onqueue.testing.clock import FakeClock
from support.inviting import NEW_PASSWORD, SENDER, Inviting, inviting
from support.mailed import link_in

pytestmark = pytest.mark.postgres
SECONDS = 60


@pytest.fixture
def aurora(postgres_database: Database, clock: FakeClock) -> Inviting:
    return inviting(postgres_database, clock)


def together(*acts: Callable[[], object]) -> list[object]:
    """Begin all at once and return what each came to: a value, or the error it raised."""
    gate = threading.Barrier(len(acts))

    def act(do: Callable[[], object]) -> object:
        gate.wait(SECONDS)
        try:
            return do()
        except Exception as error:  # noqa: BLE001 -- the errors are what is compared
            return error

    with ThreadPoolExecutor(len(acts)) as pool:
        return [each.result(SECONDS) for each in [pool.submit(act, do) for do in acts]]


def test_two_owners_who_remove_each_other_leave_one(aurora: Inviting) -> None:
    for _ in range(3):
        ada, ben = aurora.member("owner"), aurora.member("owner")
        found = together(lambda: aurora.remove(ada, by=ben), lambda: aurora.remove(ben, by=ada))  # noqa: B023 -- called at once
        assert [type(each) for each in found if each is not None] == [LastOwner]
        with aurora.database.tenant_session(aurora.tenant.id) as session:
            left = session.scalars(select(Membership)).one()
            session.delete(left)
            session.commit()


def test_of_two_clicks_on_an_invitation_one_gets_the_page_of_used_links(aurora: Inviting) -> None:
    for number in range(3):
        owner = aurora.member("owner")
        secret = aurora.invite(owner, "owner", f"nora{number}@example.org", "viewer")
        found = together(*[lambda: aurora.join(secret)] * 2)  # noqa: B023 -- called at once
        assert sorted(type(each).__name__ for each in found) == ["TokenRefused", "User"]


def test_two_organisations_that_invite_somebody_new_make_one_person(aurora: Inviting) -> None:
    other = aurora.elsewhere()
    secrets = [
        each.invite(each.member("owner"), "owner", "nora@example.org", "viewer")
        for each in (aurora, other)
    ]
    found = together(lambda: aurora.join(secrets[0]), lambda: other.join(secrets[1]))
    # Who comes a little later is told to log in, and the link is good for that.
    assert sorted(type(each).__name__ for each in found) == ["AccountJustMade", "User"]
    with aurora.database.system_session("tests", read_only=True) as session:
        assert (
            len(session.scalars(select(Membership).where(Membership.role == "viewer")).all()) == 1
        )


def test_of_two_clicks_on_a_sign_up_one_gets_the_page_of_used_links(aurora: Inviting) -> None:
    database, now = aurora.database, aurora.clock.now()
    here, wish = Browser("192.0.2.1", None), sign_up.Wish(
        "boss@example.org", "Nordlicht", "nordlicht", "Europe/Berlin", "EUR", "en-GB"
    )  # fmt: skip
    with database.system_session("tests") as session:
        sign_up.ask(session, wish, here, now, SENDER, "http://localhost")
    secret = link_in(database, "sign_up").rpartition("/")[2]

    def confirm() -> Tenant:
        with database.system_session("tests") as session:
            made = sign_up.confirm_as_new(session, secret, "Bo", NEW_PASSWORD, here, now)[1]
            session.commit()
            return made

    found = together(confirm, confirm)
    assert sorted(type(each).__name__ for each in found) == ["Tenant", "TokenRefused"]
