"""Which entry of an address counts, on both kinds of database."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from meet2be.audit.services import SYSTEM
from meet2be.db import Database
from meet2be.mailings.models import Mail, MailSuppression
from meet2be.mailings.outcomes import Outcome, OutcomeRecorder
from meet2be.mailings.services import MailDraft, enqueue
from meet2be.mailings.suppressions import add, bring, suppress
from onqueue.testing import FakeClock
from support.factories import make_tenant
from support.mail_jobs import REFUND, SENDER

ADA = "ada@firma.example"


@pytest.fixture
def tenant_id(database: Database, clock: FakeClock) -> int:
    """Return a tenant that paused an address for a fortnight, which is over."""
    tenant = make_tenant(database)
    with database.tenant_session(tenant.id) as session:
        pause = timedelta(days=14)
        assert suppress(session, tenant.id, ADA, "hard_bounce", valid=pause, now=clock.now())
        session.commit()
    clock.advance(15 * 86_400)
    return tenant.id


def draft(tenant_id: int, key: str) -> MailDraft:
    return MailDraft(
        tenant_id=tenant_id, kind="refund_made", template="refund_made", locale="en-GB",
        to_addr=ADA, dedupe_key=key, context=REFUND, sender=SENDER,
    )  # fmt: skip


def entries(database: Database, tenant_id: int) -> list[tuple[str, bool]]:
    """Return the reasons of the entries, and whether each is for good."""
    with database.tenant_session(tenant_id, read_only=True) as session:
        rows = session.scalars(select(MailSuppression).order_by(MailSuppression.id))
        return [(row.reason, row.expires_at is None) for row in rows]


def test_a_mailbox_that_is_gone_is_written_down_after_an_earlier_pause(
    database: Database, clock: FakeClock, tenant_id: int
) -> None:
    """D14, D15."""
    with database.tenant_session(tenant_id) as session:
        written = enqueue(session, draft(tenant_id, "k1"), clock.now())
        assert written.status == "queued"
        mail = session.get_one(Mail, written.mail_id)
        gone = Outcome("failed", "no such mailbox", 550)
        OutcomeRecorder().record(session, mail, gone, clock.now())
        assert enqueue(session, draft(tenant_id, "k2"), clock.now()).status == "suppressed"
        session.commit()
    assert entries(database, tenant_id) == [("hard_bounce", True)]


def test_an_address_whose_pause_is_over_can_be_suppressed_by_hand(
    database: Database, clock: FakeClock, tenant_id: int
) -> None:
    """D15. One by one and by list; a second time changes nothing."""
    for wanted in (True, False):
        with database.tenant_session(tenant_id) as session:
            assert add(session, ADA, "all", "asked by phone", SYSTEM) is wanted
            session.commit()
    assert entries(database, tenant_id) == [("manual", True)]
    with database.tenant_session(tenant_id) as session:
        for row in session.scalars(select(MailSuppression)):
            row.expires_at = clock.now()
        brought = bring(session, f"{ADA}\nbert@firma.example", SYSTEM)
        assert (brought.added, brought.known) == (2, 0)
        again = bring(session, f"{ADA}\nbert@firma.example", SYSTEM)
        assert (again.added, again.known) == (0, 2)
        session.commit()
    assert entries(database, tenant_id) == [("manual", True)] * 2


def test_a_pause_does_not_shorten_what_lasts_longer(
    database: Database, clock: FakeClock, tenant_id: int
) -> None:
    """D15. Of the platform's own list as well, which is another one."""
    with database.system_session("test: the platform's list") as session:
        for valid, is_news in ((7, True), (3, False), (9, True), (None, True), (30, False)):
            pause = None if valid is None else timedelta(days=valid)
            told = suppress(session, None, ADA, "complaint", valid=pause, now=clock.now())
            assert told is is_news
        session.commit()
        assert len(session.scalars(select(MailSuppression)).all()) == 2
