"""Two people at the same moment, on the server that lets both in: one of them gets an answer."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from meet2be.accounts.members import LastOwner
from meet2be.db import Database
from meet2be.tenancy.models import Membership
from onqueue.testing.clock import FakeClock
from support.inviting import Inviting, inviting

pytestmark = pytest.mark.postgres
SECONDS = 20


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
