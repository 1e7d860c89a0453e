"""The outbox, the texts and the suppressed addresses at a browser."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from markupsafe import escape
from sqlalchemy import select

from meet2be.db.sessions import Database
from meet2be.mailings.models import Mail, MailSuppression, MailTemplate
from meet2be.mailings.rendering import source_of
from meet2be.mailings.services import MailDraft, enqueue
from onqueue.testing.clock import FakeClock
from support.factories import make_event, make_tenant
from support.mail_jobs import REFUND, SENDER
from support.web import Web, web_on

OWN = "Hello {{ name }},\n\nsee https://aurora.example/refunds\n\n{{ tenant_name }}"


@pytest.fixture
def web(sqlite_database: Database, clock: FakeClock, tmp_path: Path) -> Iterator[Web]:
    with web_on(sqlite_database, clock, tmp_path) as made:
        yield made


def written(database: Database, tenant_id: int, key: str = "k", **fields: object) -> Mail:
    draft = MailDraft(
        tenant_id=tenant_id, kind="refund_made", template="refund_made", locale="en-GB",
        to_addr="ada@firma.example", dedupe_key=key, context=REFUND, sender=SENDER,
    )  # fmt: skip
    with database.tenant_session(tenant_id) as session:
        mail = session.get_one(Mail, enqueue(session, draft, database.clock.now()).mail_id)
        for name, value in fields.items():
            setattr(mail, name, value)
        session.commit()
        session.refresh(mail)
        return mail


def test_mails_are_found_withdrawn_and_sent_once_more(
    web: Web, sqlite_database: Database, clock: FakeClock
) -> None:
    """D1 (shown), D25. A copy is a mail of its own."""
    tenant = make_tenant(sqlite_database)
    admin, viewer = web.person(tenant), web.person(tenant, "viewer")
    until = clock.now() + timedelta(minutes=32)
    waiting = written(sqlite_database, tenant.id, "k1", status="limited", next_at=until)
    sent = written(sqlite_database, tenant.id, "k2", status="sent", sent_at=clock.now())
    assert "Waits for a free slot at" in viewer.page(f"/mail/{waiting.uid}")
    assert viewer.post(f"/mail/{waiting.uid}/cancel").status_code == 403
    page = admin.page("/mail?state=limited&kind=refund_made&q=ADA@firma.example&last=1")
    assert page.count(waiting.uid) == 1
    assert sent.uid not in page
    assert "No mail fits" in admin.page("/mail?from=2000-01-01&to=2000-01-02&kind=nonsense")
    admin.post(f"/mail/{waiting.uid}/cancel")
    assert "withdrawn" in admin.page(f"/mail/{waiting.uid}")
    assert admin.post(f"/mail/{waiting.uid}/cancel").status_code == 409
    answer = admin.post(f"/mail/{sent.uid}/resend")
    assert answer.status_code == 303
    with sqlite_database.tenant_session(tenant.id, read_only=True) as session:
        copy = session.scalars(select(Mail).order_by(Mail.id.desc())).first()
        assert copy is not None
        assert copy.dedupe_key == f"resend:{sent.uid}:1"
        assert (copy.body_text, copy.status) == (sent.body_text, "queued")
        assert copy.message_id != sent.message_id
    erased = written(sqlite_database, tenant.id, "k3", status="sent", body_text=None)
    assert admin.post(f"/mail/{erased.uid}/resend").status_code == 409


def test_an_organisation_puts_its_own_words_in_place_and_takes_them_back(
    web: Web, sqlite_database: Database
) -> None:
    """D9, D10."""
    tenant = make_tenant(sqlite_database)
    event = make_event(sqlite_database, tenant)
    admin = web.person(tenant)
    assert admin.user is not None
    assert "We told you" in admin.page("/mail/templates/refund_made/en")
    place = f"/mail/templates/refund_made/en?event={event.uid}"
    bad = admin.post(place, action="save", subject="Hi", text="{{ nmae }}")
    assert bad.status_code == 422
    assert "&#39;nmae&#39; is not known here" in bad.text
    shown = admin.post(place, action="preview", subject="Refund, {{ name }}", text=OWN)
    assert "Refund, Ada Lovelace" in shown.text
    assert admin.post(place, action="test", subject="Refund", text=OWN).status_code == 200
    assert admin.post(place, action="save", subject="Refund", text=OWN).status_code == 303
    assert "own text, version 1" in admin.page(f"/mail/templates?event={event.uid}")
    assert "own text" not in admin.page("/mail/templates")
    assert admin.post("/mail/templates/confirmation_code/en").status_code == 404
    admin.post("/mail/templates/refund_made/en/revert", event=event.uid)
    with sqlite_database.tenant_session(tenant.id, read_only=True) as session:
        assert [each.active for each in session.scalars(select(MailTemplate))] == [False]
        trial = session.scalars(select(Mail)).one()
        assert (trial.subject, trial.to_addr) == ("[TEST] Refund", admin.user.email)
        assert trial.kind == "trial"


def test_addresses_are_suppressed_one_by_one_and_by_list(
    web: Web, sqlite_database: Database
) -> None:
    """D14, D15. The platform's own list is the operators'."""
    tenant = make_tenant(sqlite_database)
    admin = web.person(tenant)
    assert "Everybody gets mail" in admin.page("/mail/suppressions")
    assert admin.post("/mail/suppressions", address="a@b.example, c@d.example").status_code == 422
    admin.post("/mail/suppressions", address=" Ada@Firma.example ", note="asked by phone")
    listed = "E-Mail;Name\nkurt@firma.example;Kurt\nada@firma.example\nnonsense\n"
    admin.post("/mail/suppressions/bring", addresses=listed)
    page = admin.page("/mail/suppressions?q=kurt")
    assert "kurt@firma.example" in page
    assert "asked by phone" not in page
    assert admin.get("/mail/suppressions?of=platform").status_code == 403
    with sqlite_database.tenant_session(tenant.id, read_only=True) as session:
        found = {each.email_norm: each.id for each in session.scalars(select(MailSuppression))}
    assert sorted(found) == ["ada@firma.example", "kurt@firma.example"]
    admin.post(f"/mail/suppressions/{found['kurt@firma.example']}/remove")
    assert "No address begins like that" in admin.page("/mail/suppressions?q=kurt")
    other = web.person(make_tenant(sqlite_database))
    gone = other.post(f"/mail/suppressions/{found['ada@firma.example']}/remove")
    assert gone.status_code == 404


def test_the_shown_text_of_an_order_can_be_kept_with_another_subject(
    web: Web, sqlite_database: Database
) -> None:
    """D10."""
    tenant = make_tenant(sqlite_database)
    admin = web.person(tenant)
    place = "/mail/templates/order_confirmation/en"
    page = admin.page(place)
    assert "<li>Grace Hopper – Regular – K7F3Q-2</li>" in page
    assert "14 May 2027" in page or "May 14, 2027" in page
    assert "format.money(total_minor, currency)" in page
    assert "format.money(amount_minor" not in page
    _, shown = source_of("order_confirmation", "en")
    assert str(escape(shown)) in page
    fields = {"subject": "Off to {{ event_title }}", "text": shown.replace("\n", "\r\n")}
    previewed = admin.post(place, action="preview", **fields)
    assert previewed.status_code == 200
    assert "- Grace Hopper – Regular – K7F3Q-2" in previewed.text
    assert admin.post(place, action="test", **fields).status_code == 200
    assert admin.post(place, action="save", **fields).status_code == 303
