"""Notices by mail and in an organisation's own channels."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from sqlalchemy import select

from meet2be.alerts import channels
from meet2be.alerts.models import AlertChannel, AlertDelivery
from meet2be.alerts.sending import MOST_FAILURES, AlertNotTaken, AlertSender
from meet2be.alerts.spreading import spread_tx
from meet2be.audit.services import SYSTEM
from meet2be.db.sessions import Database
from meet2be.integrations.guarded_addresses import AddressRules
from meet2be.integrations.guarded_http import GuardedHttp
from meet2be.integrations.guarded_urls import UrlRules
from meet2be.language import Message
from meet2be.mailings.models import Mail
from meet2be.mailings.services import Sender
from meet2be.notifications.models import Notification
from meet2be.notifications.preferences import choose
from meet2be.notifications.services import Notice, notify
from meet2be.tenancy.models import Tenant
from meet2be.webhooks.signing import verifies
from meet2be.webhooks.vault import Vault
from onqueue.testing.clock import FakeClock
from support.factories import make_tenant, make_user
from support.web import web_on

KEY = "k" * 40
NOTICE = Notice(
    "export.failed", "error", Message("Your export has failed"), "<why> & how", "x1", "/exports/x"
)


@dataclass
class Receiver:
    """Takes what is posted and answers as told."""

    status: int = 200
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            made.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(made.status)
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}/hook"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


def spread(database: Database, tenant: Tenant, notice: Notice, *people: int) -> None:
    with database.tenant_session(tenant.id) as session:
        notify(session, tenant.id, people, notice, database.clock.now())
        session.commit()
    for _again in range(2):
        spread_tx(
            database, tenant.id, notice.dedupe_key, base_url="https://m2b.example",
            app_key=KEY, fallback=Sender("Meet2Be", "events@meet2be.example"),
        )  # fmt: skip


def test_a_notice_is_mailed_once_to_those_who_want_it(sqlite_database: Database) -> None:
    """Job 7."""
    tenant = make_tenant(sqlite_database)
    ada = make_user(sqlite_database, tenant, locale="en-GB")
    kurt = make_user(sqlite_database, tenant, locale="de-DE")
    gone = make_user(sqlite_database, tenant, status="disabled")
    with sqlite_database.tenant_session(tenant.id) as session:
        choose(session, ada.id, {("mail_uncertain", "mail")})
        session.commit()
    spread(sqlite_database, tenant, NOTICE, ada.id, kurt.id, gone.id)
    with sqlite_database.tenant_session(tenant.id, read_only=True) as session:
        (mail,) = session.scalars(select(Mail))
        assert (mail.to_addr, mail.subject) == (kurt.email, "Ihr Export ist fehlgeschlagen")
        assert "https://m2b.example/exports/x" in (mail.body_text or "")
        assert "&lt;why&gt;" in (mail.body_html or "")
        assert mail.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        unread = select(Notification.user_id).where(Notification.read_at.is_(None))
        assert ada.id not in set(session.scalars(unread)), "not wanted in the page either"


def make_channel(
    database: Database, tenant: Tenant, sender: AlertSender, url: str, form: str
) -> str | None:
    with database.tenant_session(tenant.id) as session:
        made = channels.add(
            session, sender.http, sender.vault, f"our {form}", form, url, "warning", SYSTEM, None
        )
        session.commit()
        return made.secret


@pytest.fixture
def sender(sqlite_database: Database, clock: FakeClock, receiver: Receiver) -> AlertSender:
    port = int(receiver.url.split(":")[2].split("/")[0])
    http = GuardedHttp(
        UrlRules(allow_http=True, ports=frozenset({port})), AddressRules(["127.0.0.0/8"])
    )
    return AlertSender(sqlite_database, http, Vault([KEY]))


def test_an_organisations_channels_hear_what_is_loud_enough(
    sqlite_database: Database, sender: AlertSender, receiver: Receiver
) -> None:
    """Job 7."""
    tenant = make_tenant(sqlite_database)
    ada = make_user(sqlite_database, tenant)
    make_channel(sqlite_database, tenant, sender, receiver.url, "slack")
    secret = make_channel(sqlite_database, tenant, sender, receiver.url, "webhook")
    quiet = Notice("export.ready", "success", "Ready", "", "x2")
    spread(sqlite_database, tenant, quiet, ada.id)
    spread(sqlite_database, tenant, NOTICE, ada.id)
    with sqlite_database.tenant_session(tenant.id, read_only=True) as session:
        waiting = [each.id for each in session.scalars(select(AlertDelivery))]
        urls = [each.url for each in session.scalars(select(AlertChannel))]
    assert len(waiting) == 2
    assert not any(receiver.url in url for url in urls), "kept sealed"
    for delivery in waiting:
        sender.send(tenant.id, delivery)
        sender.send(tenant.id, delivery)
    (_, slack), (headers, body) = receiver.got
    text = json.loads(slack)["text"]
    assert (
        "*Your export has failed*\n&lt;why&gt; &amp; how\n<https://m2b.example/exports/x|" in text
    )
    assert json.loads(body)["title"] == "Your export has failed"
    named = (headers["webhook-id"], int(headers["webhook-timestamp"]), headers["webhook-signature"])
    assert verifies(secret or "", named, body)


def test_a_channel_that_is_away_is_tried_again_and_a_dead_one_switched_off(
    sqlite_database: Database, sender: AlertSender, receiver: Receiver
) -> None:
    tenant = make_tenant(sqlite_database)
    ada = make_user(sqlite_database, tenant)
    make_channel(sqlite_database, tenant, sender, receiver.url, "slack")
    spread(sqlite_database, tenant, NOTICE, ada.id)
    with sqlite_database.tenant_session(tenant.id, read_only=True) as session:
        delivery = session.scalars(select(AlertDelivery.id)).one()
    receiver.status = 503
    with pytest.raises(AlertNotTaken) as caught:
        sender.send(tenant.id, delivery)
    assert not caught.value.is_final
    receiver.status = 404
    with pytest.raises(AlertNotTaken) as caught:
        sender.send(tenant.id, delivery)
    assert caught.value.is_final
    with sqlite_database.tenant_session(tenant.id) as session:
        assert session.get_one(AlertDelivery, delivery).status == "failed"
        session.scalars(select(AlertChannel)).one().fails_in_row = MOST_FAILURES - 1
        again = AlertDelivery(
            channel_id=session.scalars(select(AlertChannel.id)).one(),
            dedupe_key="x9", kind="trial", severity="error", title="t",
        )  # fmt: skip
        session.add(again)
        session.commit()
        number = again.id
    with pytest.raises(AlertNotTaken):
        sender.send(tenant.id, number)
    with sqlite_database.tenant_session(tenant.id, read_only=True) as session:
        assert session.scalars(select(AlertChannel.status)).one() == "disabled"


def test_people_choose_what_they_hear_and_administrators_add_channels(
    sqlite_database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    with web_on(sqlite_database, clock, tmp_path) as web:
        tenant = make_tenant(sqlite_database)
        admin, viewer = web.person(tenant), web.person(tenant, "viewer", locale="de-DE")
        assert "Was Sie hören" in viewer.page("/notifications/preferences")
        viewer.post("/notifications/preferences", hear="export.ready:page")
        page = viewer.page("/notifications/preferences")
        assert 'value="export.ready:page" checked' in page
        assert 'value="export.ready:mail" checked' not in page
        assert 'value="mail_uncertain:page" checked disabled' in page
        assert viewer.get("/notifications/channels").status_code == 403
        inside = {"name": "ops", "form": "slack", "url": "https://127.0.0.1/x", "severity": "error"}
        assert admin.post("/notifications/channels", **inside).status_code == 422
        assert admin.post("/notifications/channels/nosuch/trial").status_code == 404
