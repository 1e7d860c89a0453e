"""What is written of a mail, on both kinds of database."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from meet2be.cancellations.mail_listener import on_mail_settled
from meet2be.db import Database, ForeignTenantError
from meet2be.integrations.mail import DeliveryDeferred, DeliveryRefused, Envelope
from meet2be.mailings.delivery import MailDelivery
from meet2be.mailings.models import EmailLog, Mail, MailSuppression
from meet2be.mailings.outcomes import OutcomeRecorder
from meet2be.mailings.services import MailDraft, Sender, enqueue_many
from meet2be.webhooks.models import WebhookEndpoint, WebhookEvent
from onqueue.testing import FakeClock
from support.factories import make_tenant

CODE = {"code": "12345678", "name": "Ada", "event_title": "Aurora", "total": "1", "minutes": 15}


class Postman:
    """Takes what he is given, but for two addresses."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    def prepare(self, envelope: Envelope, meanwhile: object = None) -> None:
        del meanwhile
        if envelope.to_addr.startswith("gone"):
            raise DeliveryRefused(envelope.to_addr, 550, "no such mailbox")
        if envelope.to_addr.startswith("full"):
            raise DeliveryRefused(envelope.to_addr, 552, "mailbox full")
        if envelope.to_addr.startswith("later"):
            raise DeliveryDeferred(envelope.to_addr, 451, "try later")

    def transmit(self, envelope: Envelope, following: Envelope | None = None) -> str:
        del following
        self.taken.append(envelope.to_addr)
        return "kept"

    def abandon(self) -> None:
        """Have nothing in hand to put away."""

    def close(self) -> None:
        """Have no door to shut."""


def draft_of(tenant: int, name: str) -> MailDraft:
    return MailDraft(
        tenant_id=tenant,
        kind="code",
        template="confirmation_code",
        locale="en",
        to_addr=f"{name}@firma.example",
        dedupe_key=name,
        context={**CODE, "tenant_name": "Aurora"},
        sender=Sender("Aurora", "tickets@aurora.example"),
        related_type="cancel_item",
        related_id=77,
    )


def test_each_outcome_stands_on_the_mail_and_in_the_log(
    database: Database, clock: FakeClock
) -> None:
    tenant = make_tenant(database)
    drafts = [draft_of(tenant.id, name) for name in ("ada", "gone", "later", "bert")]
    with database.tenant_session(tenant.id) as session:
        mails = [each.mail_id for each in enqueue_many(session, drafts, clock.now())]
        session.commit()
    recorder = OutcomeRecorder({"cancel_item": on_mail_settled})
    postman = Postman()
    left = MailDelivery(database, postman, recorder, clock, tenant.id).deliver(mails, "job-1")
    assert left == [mails[2]]
    assert postman.taken == ["ada@firma.example", "bert@firma.example"]
    with database.tenant_session(tenant.id, read_only=True) as session:
        rows = session.scalars(select(Mail).order_by(Mail.id)).all()
        assert [row.status for row in rows] == ["sent", "failed", "queued", "sent"]
        assert [row.attempts for row in rows] == [1, 0, 0, 1]
        assert [row.sent_at for row in rows] == [clock.now(), None, None, clock.now()]
        assert {row.lease_token for row in rows} == {None}
        logged = session.scalars(select(EmailLog.outcome).order_by(EmailLog.mail_id)).all()
        assert logged == ["sent", "failed", "deferred", "sent"]
        assert session.scalars(select(MailSuppression.email_norm)).all() == ["gone@firma.example"]


def test_every_mail_that_failed_is_announced_whatever_the_reason(
    sqlite_database: Database, clock: FakeClock
) -> None:
    """D23. Only an address without a mailbox is not written to again."""
    tenant = make_tenant(sqlite_database)
    names = ("ada", "gone", "full", "later")
    drafts = [draft_of(tenant.id, name) for name in names]
    with sqlite_database.tenant_session(tenant.id) as session:
        url, types = "https://a.example", ["mail.failed"]
        session.add(WebhookEndpoint(url=url, event_types=types, enabled_at=clock.now()))
        mails = [each.mail_id for each in enqueue_many(session, drafts, clock.now())]
        session.commit()
    recorder = OutcomeRecorder()
    MailDelivery(sqlite_database, Postman(), recorder, clock, tenant.id).deliver(mails, "job-1")
    with sqlite_database.tenant_session(tenant.id, read_only=True) as session:
        codes = [each.data["code"] for each in session.scalars(select(WebhookEvent))]
        assert codes == ["550", "552"]
        assert session.scalars(select(MailSuppression.email_norm)).all() == ["gone@firma.example"]


def test_a_mail_of_another_tenant_is_not_written(database: Database, clock: FakeClock) -> None:
    mine, theirs = make_tenant(database), make_tenant(database)
    drafts = [draft_of(mine.id, "ada"), draft_of(theirs.id, "bert")]
    for session in (database.tenant_session(mine.id), database.system_session("tests: mail")):
        with session, pytest.raises(ForeignTenantError, match=f"belongs to tenant {theirs.id}"):
            enqueue_many(session, drafts, clock.now())


def test_a_repeat_is_told_from_a_new_mail_and_keeps_its_state(
    database: Database, clock: FakeClock
) -> None:
    tenant = make_tenant(database)
    with database.tenant_session(tenant.id) as session:
        session.add(MailSuppression(email_norm="gone@firma.example", reason="manual"))
        drafts = [draft_of(tenant.id, name) for name in ("ada", "gone")]
        first = enqueue_many(session, drafts, clock.now())
        session.commit()
    with database.tenant_session(tenant.id) as session:
        drafts = [draft_of(tenant.id, name) for name in ("gone", "bert", "ada", "bert")]
        again = enqueue_many(session, drafts, clock.now())
    assert [each.status for each in first] == ["queued", "suppressed"]
    assert [each.status for each in again] == ["suppressed", "queued", "queued", "queued"]
    assert [each.is_new for each in again] == [False, True, False, True]
    assert [again[0].mail_id, again[2].mail_id] == [first[1].mail_id, first[0].mail_id]
    assert again[1].mail_id == again[3].mail_id
