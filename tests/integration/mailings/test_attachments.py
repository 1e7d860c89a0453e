"""Files that go with mails, out of the mail's own row."""

from __future__ import annotations

import email
from email import policy
from email.message import EmailMessage

import pytest

from meet2be.db import Database
from meet2be.integrations.mail import Envelope
from meet2be.mailings.attachments import LONGEST_TEXT, Attachment, BadAttachment
from meet2be.mailings.delivery import MailDeliveries
from meet2be.mailings.models import Mail
from meet2be.mailings.outcomes import OutcomeRecorder
from meet2be.mailings.services import MailDraft, enqueue
from meet2be.tenancy.models import Tenant
from support.factories import make_tenant
from support.mail_jobs import REFUND, SENDER

DAY = Attachment("summit.ics", "text/calendar", "BEGIN:VCALENDAR\r\n")
LIST = Attachment("Gäste.csv", "text/csv", "Jürgen;2\n")


class Postman:
    """Takes everything, and keeps it."""

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []

    def prepare(self, envelope: Envelope, meanwhile: object = None) -> None:
        """Let everybody in."""

    def transmit(self, envelope: Envelope, following: Envelope | None = None) -> str:
        self.taken.append(email.message_from_bytes(envelope.content, policy=policy.default))
        return "kept"

    def abandon(self) -> None:
        """Have nothing in hand to put away."""

    def close(self) -> None:
        """Have no door to shut."""


@pytest.fixture
def tenant(sqlite_database: Database) -> Tenant:
    return make_tenant(sqlite_database)


def posted(database: Database, tenant: Tenant, *files: Attachment) -> int:
    with database.tenant_session(tenant.id) as session:
        draft = MailDraft(
            tenant_id=tenant.id, kind="refund_made", template="refund_made", locale="en-GB",
            to_addr="ada@firma.example", dedupe_key="-".join(each.filename for each in files),
            context=REFUND, sender=SENDER, attachments=files,
        )  # fmt: skip
        written = enqueue(session, draft, database.clock.now())
        session.commit()
    return written.mail_id


def delivered(
    database: Database, tenant: Tenant, mails: list[int]
) -> tuple[Postman, list[str], list[int]]:
    """Return who carried the mails, their states, and those that are left."""
    postman = Postman()
    deliveries = MailDeliveries(database, postman, OutcomeRecorder(), database.clock)
    left = deliveries.of_tenant(tenant.id).deliver(mails, "job-1")
    with database.tenant_session(tenant.id, read_only=True) as session:
        return postman, [session.get_one(Mail, mail).status for mail in mails], left


def test_a_mail_carries_the_files_of_its_row(sqlite_database: Database, tenant: Tenant) -> None:
    """D19."""
    mails = [posted(sqlite_database, tenant, *files) for files in ((DAY, LIST), ())]
    postman, states, left = delivered(sqlite_database, tenant, mails)
    assert (states, left) == (["sent", "sent"], [])
    day, listed = postman.taken[0].iter_attachments()
    assert (day.get_filename(), day.get_content_type()) == ("summit.ics", "text/calendar")
    assert (listed.get_filename(), listed.get_content()) == ("Gäste.csv", "Jürgen;2\n")
    assert list(postman.taken[1].iter_attachments()) == []


@pytest.mark.parametrize(
    ("content_type", "text", "why"),
    [
        ("text/html", "x", "none of text/calendar, text/csv"),
        ("text/csv", "ü" * (LONGEST_TEXT // 2 + 1), "link to it instead"),
    ],
)
def test_what_cannot_be_attached_is_refused_when_it_is_described(
    content_type: str, text: str, why: str
) -> None:
    """D19. Before the mail is written."""
    with pytest.raises(BadAttachment, match=why):
        Attachment("a", content_type, text)
