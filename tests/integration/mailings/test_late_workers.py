"""A worker that was away for longer than its claim stood, and two that look for lost claims."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from meet2be.db import Database
from meet2be.integrations.mail import (
    DeliveryDeferred,
    DeliveryRefused,
    DeliveryUncertain,
    Envelope,
)
from meet2be.mailings.courier import release_held
from meet2be.mailings.delivery import LEASE, MailDelivery, expire_lost_claims
from meet2be.mailings.models import Mail
from meet2be.mailings.outcomes import OutcomeRecorder
from meet2be.mailings.services import MailDraft, enqueue
from meet2be.tenancy.models import Tenant
from onqueue.testing import FakeClock
from support.factories import make_tenant
from support.mail_jobs import REFUND, SENDER

NOTICE = {"name": "Ada", "title": "T", "body": "", "link": "", "tenant_name": "A"}
ADA = "ada@firma.example"


class SlowPostman:
    """Is away for as long as ``meanwhile`` takes, and then answers."""

    def __init__(self, meanwhile: Callable[[], None], answer: Exception | str) -> None:
        self.meanwhile, self.answer = meanwhile, answer

    def prepare(self, envelope: Envelope, meanwhile: object = None) -> None:
        """Let everybody in."""

    def transmit(self, envelope: Envelope, following: Envelope | None = None) -> str:
        self.meanwhile()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def abandon(self) -> None:
        """Have nothing in hand to put away."""

    def close(self) -> None:
        """Have no door to shut."""


@pytest.fixture
def tenant(sqlite_database: Database) -> Tenant:
    return make_tenant(sqlite_database)


def a_mail(database: Database, tenant: Tenant, kind: str, status: str = "queued") -> int:
    draft = MailDraft(
        tenant_id=tenant.id, kind=kind, template=kind, locale="en-GB", to_addr=ADA,
        dedupe_key=kind, context=REFUND if kind == "refund_made" else NOTICE, sender=SENDER,
    )  # fmt: skip
    with database.tenant_session(tenant.id) as session:
        written = enqueue(session, draft, database.clock.now())
        mail = session.get_one(Mail, written.mail_id)
        mail.status, mail.lease_until = status, database.clock.now()
        session.commit()
    return written.mail_id


def taken_over(database: Database, tenant: Tenant, mail_id: int) -> None:
    """Let the first worker's claim lapse, and another worker take what is sent again."""
    clock = database.clock
    assert isinstance(clock, FakeClock)
    clock.advance(LEASE.total_seconds() + 1)
    with database.system_session("test: the relay's step") as session:
        assert expire_lost_claims(session, OutcomeRecorder(), clock.now()) == 1
        session.commit()
    with database.tenant_session(tenant.id) as session:
        mail = session.get_one(Mail, mail_id)
        if mail.status == "queued":
            mail.status, mail.lease_token = "sending", "job-2"
            session.commit()


LATER = DeliveryDeferred(ADA, 451, "try later")
GONE = DeliveryRefused(ADA, 550, "no such mailbox")
LOST = DeliveryUncertain(ADA, "hung up")


@pytest.mark.parametrize(
    ("kind", "answer", "state"),
    [
        ("refund_made", LATER, "uncertain"),
        ("refund_made", GONE, "uncertain"),
        ("refund_made", "kept", "sent"),
        ("notice", LATER, "sending"),
        ("notice", GONE, "sending"),
        ("notice", LOST, "sending"),
        ("notice", "kept", "sent"),
    ],
)
def test_who_comes_back_too_late_tells_only_that_a_mail_has_left(
    sqlite_database: Database, tenant: Tenant, kind: str, answer: Exception | str, state: str
) -> None:
    """D6. Neither a person's decision nor another worker's try is written over."""
    mail_id = a_mail(sqlite_database, tenant, kind)
    postman = SlowPostman(lambda: taken_over(sqlite_database, tenant, mail_id), answer)
    clock = sqlite_database.clock
    delivery = MailDelivery(sqlite_database, postman, OutcomeRecorder(), clock, tenant.id)
    delivery.deliver([mail_id], "job-1")
    with sqlite_database.tenant_session(tenant.id, read_only=True) as session:
        mail = session.get_one(Mail, mail_id)
        assert (mail.status, mail.lease_token) == (state, "job-2" if state == "sending" else None)


@pytest.mark.postgres
def test_two_who_look_for_lost_claims_or_held_mails_do_not_wait_for_each_other(
    postgres_database: Database,
) -> None:
    """D6, D22. Each mail is somebody's once."""
    tenant = make_tenant(postgres_database)
    a_mail(postgres_database, tenant, "notice", "sending")
    a_mail(postgres_database, tenant, "refund_made", "held")
    now = postgres_database.clock.now()
    with (
        postgres_database.system_session("test: the relay's step") as one,
        postgres_database.system_session("test: the schedule's step") as two,
    ):
        assert expire_lost_claims(one, OutcomeRecorder(), now) == 1
        assert expire_lost_claims(two, OutcomeRecorder(), now) == 0
        assert release_held(one, tenant) == 1
        assert release_held(two, tenant) == 0
