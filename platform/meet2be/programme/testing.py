"""Test mode of a whole organisation: while it is on, each of its events is a test.

What a test is stands with the events: orders are marked, paid at the provider's test account, left
out of figures, and mail goes to the organisation's own people only. Here is that nothing real is
begun beside it. What was real before is brought to its end: refunds, and news of them.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from meet2be.audit.services import Actor, record
from meet2be.db import clock_of
from meet2be.events.models import Event
from meet2be.language import Message
from meet2be.programme.errors import NotInState
from meet2be.programme.sold import is_sold
from meet2be.programme.telling import tell
from meet2be.tenancy.models import Tenant
from meet2be.tenancy.services import TEST_MODE, in_test_mode

OVER_BY_DATE: Final = ("draft", "live")
"""Events of which nothing is to come after their end; a draft was taken off its page then."""


def hold_mode(session: Session) -> bool:
    """Tell whether the organisation is in test mode, which stays so until the commit.

    Who takes of the limits calls `hold_limits` first: two that share the row here and then each
    want it for themselves would wait for each other.
    """
    return in_test_mode(_tenant(session, is_shared=True))


def switch_test_mode(session: Session, actor: Actor, *, on: bool) -> bool:
    """Put the organisation into test mode, or out of it; tells whether that changed anything.

    Drafts become tests and stay so until somebody makes them real. Raises ``NotInState`` while
    there is an event that is real and not over. The caller commits.
    """
    tenant = _tenant(session)
    before = in_test_mode(tenant)
    if before == on:
        return False
    if on:
        _make_tests(session, actor)
    tenant.settings = {**tenant.settings, TEST_MODE: on}
    record(
        session, actor, "tenant.test_mode", "tenant", tenant.uid,
        before={TEST_MODE: before}, after={TEST_MODE: on},
    )  # fmt: skip
    return True


def _tenant(session: Session, *, is_shared: bool = False) -> Tenant:
    mine = select(Tenant).with_for_update(read=is_shared, key_share=not is_shared)
    return session.scalars(mine.execution_options(populate_existing=True)).one()


def _make_tests(session: Session, actor: Actor) -> None:
    now = clock_of(session).now()
    real = session.scalars(
        select(Event)
        .where(Event.test_mode.is_(False), Event.status.in_(("draft", "live", "cancelling")))
        .order_by(Event.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    for event in real:
        is_over = event.status in OVER_BY_DATE and event.ends_at <= now
        if event.status == "draft" and not is_sold(session, event):
            _make_test(session, event, actor)
        elif not is_over:
            why = Message(
                "“%(title)s” is real: it is on sale, being cancelled, or somebody has a ticket for"
                " it. The test mode can begin once it is over, cancelled or archived.",
                {"title": event.title},
            )
            raise NotInState(why)


def _make_test(session: Session, event: Event, actor: Actor) -> None:
    event.test_mode, event.version = True, event.version + 1
    data = {"status": event.status, "changed": ["test_mode"]}
    tell(session, event, "updated", actor,
         before={"test_mode": False}, after={"test_mode": True}, data=data)  # fmt: skip
