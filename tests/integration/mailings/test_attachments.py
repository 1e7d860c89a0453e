"""Files that go with mails, out of the store and out of the mail's own row."""

from __future__ import annotations

import email
from collections.abc import Callable
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import BinaryIO

import pytest

from meet2be.db import Database
from meet2be.integrations.mail import Envelope
from meet2be.integrations.storage import BadKey, StoreFailed
from meet2be.integrations.storage_local import LocalStore
from meet2be.language import Message
from meet2be.mailings.attachments import LONGEST_TEXT, MOST_BYTES, Attachment, BadAttachment
from meet2be.mailings.courier import cancel_mails_of
from meet2be.mailings.delivery import MailDeliveries
from meet2be.mailings.housekeeping import tidy_tx
from meet2be.mailings.models import EmailLog, Mail
from meet2be.mailings.outcomes import OutcomeRecorder
from meet2be.mailings.services import MailDraft, enqueue
from meet2be.tenancy.models import Tenant
from onqueue.testing.clock import FakeClock
from support.factories import make_tenant
from support.mail_jobs import REFUND, SENDER

OWNER = "T1"
KEY = f"tenants/{OWNER}/tickets/O1/abc.pdf"
PDF = Attachment("Rechnung.pdf", "application/pdf", key=KEY)
DAY = Attachment("summit.ics", "text/calendar", "BEGIN:VCALENDAR\r\n")


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


class StoreThatIsAway(LocalStore):
    """A store that does not answer; it counts how often it is to delete."""

    asked = 0

    def open(self, key: str) -> BinaryIO:
        raise StoreFailed(Message("The store does not answer"), detail=f"no answer about {key}")

    def delete(self, key: str) -> bool:
        self.asked += 1
        raise StoreFailed(Message("The store does not answer"), detail=f"no answer about {key}")


@pytest.fixture
def tenant(sqlite_database: Database) -> Tenant:
    return make_tenant(sqlite_database, uid=OWNER)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


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
    database: Database, tenant: Tenant, store: LocalStore, mails: list[int]
) -> tuple[Postman, list[str], list[int]]:
    """Return who carried the mails, their states, and those that are left."""
    postman = Postman()
    deliveries = MailDeliveries(database, postman, OutcomeRecorder(), database.clock, store=store)
    left = deliveries.of_tenant(tenant.id).deliver(mails, "job-1")
    with database.tenant_session(tenant.id, read_only=True) as session:
        return postman, [session.get_one(Mail, mail).status for mail in mails], left


def put(store: LocalStore, content: bytes, key: str = KEY) -> None:
    with store.write(key, content_type="application/pdf") as file:
        file.write(content)


def test_a_mail_carries_a_file_of_the_store_and_one_of_its_own(
    sqlite_database: Database, tenant: Tenant, store: LocalStore
) -> None:
    """D19."""
    put(store, b"%PDF-1.7\r\n\x00\xff")
    mails = [posted(sqlite_database, tenant, PDF, DAY)]
    postman, states, _ = delivered(sqlite_database, tenant, store, mails)
    assert states == ["sent"]
    pdf, day = postman.taken[0].iter_attachments()
    assert (pdf.get_filename(), pdf.get_content()) == ("Rechnung.pdf", b"%PDF-1.7\r\n\x00\xff")
    assert (day.get_filename(), day.get_content_type()) == ("summit.ics", "text/calendar")


@pytest.mark.parametrize(
    ("content", "why"), [(None, "not kept any more"), (b"x" * (MOST_BYTES + 1), "more than")]
)
def test_a_file_that_is_gone_or_too_large_fails_its_mail_and_no_other(
    sqlite_database: Database, tenant: Tenant, store: LocalStore, content: bytes | None, why: str
) -> None:
    """D19. Before anything of it has left."""
    if content is not None:
        put(store, content)
    files: list[tuple[Attachment, ...]] = [(DAY,), (PDF,), ()]
    mails = [posted(sqlite_database, tenant, *each) for each in files]
    postman, states, left = delivered(sqlite_database, tenant, store, mails)
    assert (states, left, len(postman.taken)) == (["sent", "failed", "sent"], [], 2)
    with sqlite_database.tenant_session(tenant.id, read_only=True) as session:
        failed = session.get_one(Mail, mails[1])
        assert why in (failed.last_error or "")
        assert failed.attempts == 0


def test_no_mail_carries_a_file_of_another_organisation(
    sqlite_database: Database, tenant: Tenant, store: LocalStore
) -> None:
    """D19."""
    put(store, b"%PDF-1.7")
    other = make_tenant(sqlite_database)
    mails = [posted(sqlite_database, other, PDF)]
    postman, states, _ = delivered(sqlite_database, other, store, mails)
    assert (states, postman.taken) == (["failed"], [])
    with sqlite_database.tenant_session(other.id, read_only=True) as session:
        assert "another organisation's" in (session.get_one(Mail, mails[0]).last_error or "")


@pytest.mark.parametrize("is_away", [False, True])
def test_old_mails_lose_their_files_with_their_texts(
    sqlite_database: Database, tenant: Tenant, clock: FakeClock, tmp_path: Path, is_away: bool
) -> None:
    """D25."""
    store = LocalStore(tmp_path / "store")
    put(store, b"%PDF-1.7")
    mails = [posted(sqlite_database, tenant, PDF, DAY), posted(sqlite_database, tenant, DAY)]
    delivered(sqlite_database, tenant, store, mails)
    clock.advance(91 * 86_400)
    used = StoreThatIsAway(tmp_path / "store") if is_away else store
    postman, recorder = Postman(), OutcomeRecorder()
    tidy_tx(MailDeliveries(sqlite_database, postman, recorder, clock, store=used))
    assert (store.size(KEY) is None) is not is_away
    with sqlite_database.tenant_session(tenant.id, read_only=True) as session:
        left = [session.get_one(Mail, mail) for mail in mails]
    assert not any(mail.body_text for mail in left), "the texts go in any case"
    assert [bool(mail.attachments) for mail in left] == [is_away, False]
    tidy_tx(MailDeliveries(sqlite_database, postman, recorder, clock, store=store))
    assert store.size(KEY) is None, "it is tried again while its file is there"


def test_mails_whose_files_cannot_be_deleted_keep_no_others_from_losing_their_texts(
    sqlite_database: Database,
    tenant: Tenant,
    clock: FakeClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """D25. More of them than are looked at together, a day before the others come due."""
    monkeypatch.setattr("meet2be.mailings.housekeeping.A_TIME", 2)
    store = LocalStore(tmp_path / "store")
    keys = [f"{KEY}{n}" for n in range(5)]
    files = [Attachment(f"{n}.pdf", "application/pdf", key=key) for n, key in enumerate(keys)]
    for key in keys:
        put(store, b"%PDF-1.7", key)
    stuck = [posted(sqlite_database, tenant, file) for file in files]
    delivered(sqlite_database, tenant, store, stuck)
    clock.advance(86_400)
    others = [posted(sqlite_database, tenant, *[DAY] * n) for n in range(1, 4)]
    delivered(sqlite_database, tenant, store, others)
    away = StoreThatIsAway(tmp_path / "store")
    deliveries = MailDeliveries(sqlite_database, Postman(), OutcomeRecorder(), clock, store=away)

    clock.advance(90 * 86_400 - 1)
    tidy_tx(deliveries)
    clock.advance(2)
    tidy_tx(deliveries)

    assert away.asked == 2, "each run asks it once"
    with sqlite_database.tenant_session(tenant.id, read_only=True) as session:
        assert [session.get_one(Mail, mail).body_text for mail in others] == [None] * 3
        assert [session.get_one(Mail, mail).body_text for mail in stuck] == [""] * 5


class StoreThatLooks(LocalStore):
    """A store that finds out whether others could write while it deletes."""

    def __init__(self, folder: Path, write: Callable[[], object]) -> None:
        super().__init__(folder)
        self.write_a_row = write

    def delete(self, key: str) -> bool:
        self.write_a_row()
        return super().delete(key)


def test_nobody_waits_for_a_store_that_deletes_files_of_old_mails(
    sqlite_database: Database, tenant: Tenant, clock: FakeClock, tmp_path: Path
) -> None:
    """D25. SQLite lets one write at a time."""
    written: list[int] = []

    def write() -> None:
        written.append(posted(sqlite_database, tenant, DAY))

    store = StoreThatLooks(tmp_path / "store", write)
    put(store, b"%PDF-1.7")
    delivered(sqlite_database, tenant, store, [posted(sqlite_database, tenant, PDF)])
    clock.advance(91 * 86_400)
    tidy_tx(MailDeliveries(sqlite_database, Postman(), OutcomeRecorder(), clock, store=store))
    assert (len(written), store.size(KEY)) == (1, None)


def test_a_file_is_deleted_with_the_last_mail_that_carries_it(
    sqlite_database: Database, tenant: Tenant, clock: FakeClock, store: LocalStore
) -> None:
    """D25. A copy that waits, or could be sent once more, still needs it."""
    put(store, b"%PDF-1.7")
    delivered(sqlite_database, tenant, store, [posted(sqlite_database, tenant, PDF)])
    deliveries = MailDeliveries(
        sqlite_database, Postman(), OutcomeRecorder(), sqlite_database.clock, store=store
    )
    clock.advance(80 * 86_400)
    copy = posted(sqlite_database, tenant, PDF, DAY)
    clock.advance(11 * 86_400)
    tidy_tx(deliveries)
    assert store.size(KEY) is not None
    assert delivered(sqlite_database, tenant, store, [copy])[1] == ["sent"]
    tidy_tx(deliveries)
    assert store.size(KEY) is not None, "whoever sends it once more finds its file"
    clock.advance(80 * 86_400)
    tidy_tx(deliveries)
    assert store.size(KEY) is None


def test_files_of_a_person_who_is_erased_go_after_a_day(
    sqlite_database: Database, tenant: Tenant, clock: FakeClock, store: LocalStore
) -> None:
    """D25."""
    put(store, b"%PDF-1.7")
    mail = posted(sqlite_database, tenant, PDF)
    with sqlite_database.tenant_session(tenant.id) as session:
        assert cancel_mails_of(session, None, "ada@firma.example") == 1
        session.commit()
    clock.advance(86_401)
    tidy_tx(MailDeliveries(sqlite_database, Postman(), OutcomeRecorder(), clock, store=store))
    assert store.size(KEY) is None
    with sqlite_database.tenant_session(tenant.id, read_only=True) as session:
        left = session.get_one(Mail, mail)
        assert (left.status, left.body_text, left.attachments) == ("cancelled", None, [])


def test_mails_wait_for_a_store_that_is_away(
    sqlite_database: Database, tenant: Tenant, tmp_path: Path
) -> None:
    """D19. Nothing is claimed, so nothing is uncertain."""
    away = StoreThatIsAway(tmp_path / "store")
    mails = [posted(sqlite_database, tenant, each) for each in (PDF, DAY)]
    _, states, left = delivered(sqlite_database, tenant, away, mails)
    assert (states, left) == (["queued", "sent"], mails[:1])
    with sqlite_database.tenant_session(tenant.id, read_only=True) as session:
        entry = session.query(EmailLog).filter(EmailLog.mail_id == mails[0]).one()
        assert (entry.outcome, "no answer" in (entry.detail or "")) == ("deferred", True)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"content_type": "text/html", "text": "x"}, BadAttachment),
        ({"content_type": "application/pdf"}, BadAttachment),
        ({"content_type": "application/pdf", "text": "x", "key": KEY}, BadAttachment),
        ({"content_type": "text/csv", "text": "ü" * LONGEST_TEXT}, BadAttachment),
        ({"content_type": "application/pdf", "key": "tenants/../secret"}, BadKey),
    ],
)
def test_what_may_not_be_attached_is_refused_before_a_mail_is_written(
    fields: dict[str, str], error: type[Exception]
) -> None:
    """D19."""
    with pytest.raises(error):
        Attachment("a", **fields)
