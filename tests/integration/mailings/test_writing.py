"""What is decided when a mail is written: its text, its sender, whether it may leave at all."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from meet2be.audit.services import SYSTEM
from meet2be.db.sessions import Database
from meet2be.mailings.delivery import BY_ITSELF
from meet2be.mailings.errors import BadAddress
from meet2be.mailings.message import Letter, seal
from meet2be.mailings.models import Mail
from meet2be.mailings.own_texts import OwnText
from meet2be.mailings.services import MailDraft, Sender, enqueue, post, sender_of
from meet2be.mailings.template_services import Place, save
from meet2be.notifications.models import Notification
from meet2be.tenancy.models import Tenant
from support.factories import make_event, make_tenant, make_user
from support.mail_jobs import REFUND, SENDER


def written(database: Database, tenant: Tenant, **fields: Any) -> Mail:
    given: dict[str, Any] = {
        "tenant_id": tenant.id, "kind": "refund_made", "template": "refund_made", "locale": "de-DE",
        "to_addr": "ada@firma.example", "dedupe_key": "k", "context": REFUND, "sender": SENDER,
    }  # fmt: skip
    with database.tenant_session(tenant.id) as session:
        number = enqueue(session, MailDraft(**{**given, **fields}), database.clock.now()).mail_id
        session.commit()
        return session.get_one(Mail, number)


def test_a_mail_is_written_in_its_events_own_words(database: Database) -> None:
    """D9, on each kind of database."""
    tenant = make_tenant(database, locale="en-GB")
    event = make_event(database, tenant)
    with database.tenant_session(tenant.id) as session:
        for event_id, subject in ((None, "For all"), (event.id, "For one")):
            place = Place("refund_made", "en", event_id)
            for version in ("old", "new"):
                save(session, place, OwnText(f"{subject}, {version}", "{{ name }}"), SYSTEM, None)
        session.commit()
    of_event = written(database, tenant, event_id=event.id)
    of_all = written(database, tenant, dedupe_key="k2")
    assert (of_event.subject, of_event.template_version) == ("For one, new", 2)
    assert of_all.subject == "For all, new"
    other = make_tenant(database)
    platforms = written(database, other, dedupe_key="k3")
    assert (platforms.template_version, platforms.locale) == (0, "de-DE")


def test_a_mail_whose_own_text_lacks_a_value_fails_with_its_name(sqlite_database: Database) -> None:
    """D10. The rest of what its commit does is done, and the admins hear of it."""
    tenant = make_tenant(sqlite_database, locale="en-GB")
    make_user(sqlite_database, tenant)
    with sqlite_database.tenant_session(tenant.id) as session:
        text = OwnText("Refund", "Order {{ order_code }}")
        save(session, Place("refund_made", "en"), text, SYSTEM, None)
        session.commit()
    mail = written(sqlite_database, tenant, context={**REFUND, "order_code": None})
    assert mail.status == "failed"
    assert "'order_code' has no value" in (mail.last_error or "")
    assert mail.body_text == ""
    with sqlite_database.tenant_session(tenant.id, read_only=True) as session:
        (notice,) = session.scalars(select(Notification))
        assert (notice.kind, notice.link) == ("mail.failed", "/mail?state=failed&kind=refund_made")
        assert "'A refund was made'" in notice.body


def test_a_test_event_writes_to_members_only(sqlite_database: Database) -> None:
    """Further: test mode."""
    tenant = make_tenant(sqlite_database)
    make_user(sqlite_database, tenant, email="Member@firma.example")
    stranger = written(sqlite_database, tenant, test_mode=True)
    member = written(
        sqlite_database, tenant, test_mode=True, to_addr="member@firma.example", dedupe_key="k2"
    )
    assert (stranger.status, member.status) == ("suppressed", "queued")
    assert "test mode" in (stranger.last_error or "")
    assert (member.subject or "").startswith("[TEST] ")


def test_a_sender_that_is_not_verified_is_the_platform_in_its_name(
    sqlite_database: Database,
) -> None:
    """D18."""
    fallback = Sender("Meet2Be", "events@meet2be.example")
    tenant = make_tenant(
        sqlite_database, name="Aurora", sender_email="us@aurora.example", reply_to="me@a.example"
    )
    assert sender_of(tenant, fallback) == Sender(
        "Aurora (via Meet2Be)", "events@meet2be.example", "me@a.example"
    )
    tenant.sender_verified_at = sqlite_database.clock.now()
    assert sender_of(tenant, fallback).address == "us@aurora.example"


def test_one_mail_to_several_addresses_is_refused(sqlite_database: Database) -> None:
    """D14."""
    tenant = make_tenant(sqlite_database)
    draft = MailDraft(
        tenant_id=tenant.id, kind="refund_made", template="refund_made", locale="en",
        to_addr="a@b.example, c@d.example", dedupe_key="k", context=REFUND, sender=SENDER,
    )  # fmt: skip
    with sqlite_database.tenant_session(tenant.id) as session:
        with pytest.raises(BadAddress):
            post(session, draft, sqlite_database.clock.now())
        assert session.scalars(select(Mail)).all() == []


def test_every_mail_says_that_a_machine_wrote_it(sqlite_database: Database) -> None:
    """D20."""
    letter = Letter(
        "<a@b>", "a@b.example", "c@d.example", "Hi", "Hi", "", sqlite_database.clock.now(),
        headers=BY_ITSELF,
    )  # fmt: skip
    assert b"\r\nAuto-Submitted: auto-generated\r\n" in seal(letter).content
