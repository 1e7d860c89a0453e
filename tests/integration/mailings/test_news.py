"""What providers tell of mails, over their signed calls; and readers who leave."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.x509.oid import NameOID
from sqlalchemy import select
from werkzeug.test import TestResponse

from meet2be.db.sessions import Database
from meet2be.integrations.sns_messages import SnsReader, is_of_amazon
from meet2be.mailings.models import Mail, MailNews, MailSuppression
from meet2be.mailings.outcomes import Outcome, OutcomeRecorder
from meet2be.mailings.services import MailDraft, enqueue
from meet2be.mailings.unsubscribing import Leaving, headers
from meet2be.web.mail_hooks import SNS_READER
from meet2be.webhooks.models import WebhookEndpoint, WebhookEvent
from onqueue.testing.clock import FakeClock
from support.factories import make_tenant
from support.mail_jobs import REFUND, SENDER
from support.web import Web, web_on

SECRET = "a secret of the tests"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:mails"
CERTIFICATE = "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-1.pem"


@pytest.fixture
def web(sqlite_database: Database, clock: FakeClock, tmp_path: Path) -> Iterator[Web]:
    with web_on(sqlite_database, clock, tmp_path, MAIL_HOOK_SECRET=SECRET) as made:
        yield made


def sent_mail(web: Web, key: str = "k", status: str = "sent", **fields: object) -> Mail:
    database = web.services.database
    tenant = make_tenant(database)
    draft = MailDraft(
        tenant_id=tenant.id, kind="refund_made", template="refund_made", locale="en-GB",
        to_addr="Ada@firma.example", dedupe_key=key, context=REFUND, sender=SENDER,
    )  # fmt: skip
    with database.tenant_session(tenant.id) as session:
        mail = session.get_one(Mail, enqueue(session, draft, database.clock.now()).mail_id)
        mail.status = status
        for name, value in fields.items():
            setattr(mail, name, value)
        session.commit()
        session.refresh(mail)
        return mail


def tell(
    web: Web, *events: Mapping[str, object], secret: str = SECRET, late: int = 0
) -> TestResponse:
    body = json.dumps({"events": events}).encode()
    stamp = int(web.services.clock.time()) - late
    signature = hmac.new(secret.encode(), f"{stamp}.".encode() + body, "sha256").hexdigest()
    return web.anybody().client.post(
        "/hooks/mail/generic",
        data=body,
        headers={"X-Meet2Be-Signature": f"t={stamp},v1={signature}"},
    )


def results(answer: TestResponse) -> list[str]:
    """Return what came of each piece of news."""
    found: list[str] = (answer.json or {})["results"]
    return found


def now_of(web: Web, mail: Mail) -> tuple[str, list[str]]:
    with web.services.database.system_session("tests: look", read_only=True) as session:
        suppressed = session.scalars(
            select(MailSuppression.reason).where(MailSuppression.tenant_id == mail.tenant_id)
        )
        return session.get_one(Mail, mail.id).status, list(suppressed)


def test_a_hard_bounce_ends_mail_to_an_address_and_a_complaint_even_more(web: Web) -> None:
    """D15, D17. Twice is once; a state only moves forward."""
    mail = sent_mail(web)
    news = {"id": "n1", "type": "hard_bounce", "address": "ada@firma.example",
            "message_id": mail.message_id, "detail": "550 no such user"}  # fmt: skip
    assert results(tell(web, news)) == ["bounced"]
    assert results(tell(web, news)) == ["repeated"]
    assert now_of(web, mail) == ("bounced", ["hard_bounce"])
    spam = {**news, "id": "n2", "type": "complaint"}
    with web.services.database.system_session("tests: nobody listens", read_only=True) as session:
        assert session.scalars(select(WebhookEvent)).all() == []
        tenant_id = mail.tenant_id
    with web.services.database.tenant_session(tenant_id or 0) as session:
        session.add(
            WebhookEndpoint(
                url="https://a.example", event_types=["mail.complained"],
                enabled_at=web.services.clock.now(),
            )
        )  # fmt: skip
        session.commit()
    assert results(tell(web, spam, {**news, "id": "n3"})) == ["complained", "complained"]
    assert now_of(web, mail)[0] == "complained"
    with web.services.database.tenant_session(tenant_id or 0, read_only=True) as session:
        (told,) = session.scalars(select(WebhookEvent))
        assert (told.type, told.subject_uid) == ("mail.complained", mail.uid)
        assert "firma.example" not in str(told.data)


def test_news_that_are_forged_or_about_others_change_nothing(web: Web) -> None:
    mail = sent_mail(web)
    news = {"id": "n1", "type": "hard_bounce", "address": "ada@firma.example",
            "message_id": mail.message_id}  # fmt: skip
    assert tell(web, news, secret="guessed").status_code == 400
    assert tell(web, news, late=3_600).status_code == 400
    assert tell(web, {**news, "type": "odd"}).status_code == 400
    assert results(tell(web, {**news, "address": "kurt@firma.example"})) == ["another address"]
    assert results(tell(web, {**news, "id": "n2", "message_id": "<x@y>"})) == ["unknown mail"]
    assert now_of(web, mail) == ("sent", [])


def test_a_bounce_that_is_faster_than_our_own_record_stays(web: Web) -> None:
    """D17."""
    mail = sent_mail(web, status="sending")
    tell(web, {"id": "n1", "type": "hard_bounce", "address": "ada@firma.example",
               "message_id": mail.message_id})  # fmt: skip
    database = web.services.database
    with database.tenant_session(mail.tenant_id or 0) as session:
        found = session.get_one(Mail, mail.id)
        OutcomeRecorder().record(session, found, Outcome("sent", "250 ok"), database.clock.now())
        session.commit()
    assert now_of(web, mail)[0] == "bounced"


def test_soft_bounces_are_counted_and_pause_an_address(web: Web, clock: FakeClock) -> None:
    """D15."""
    mail = sent_mail(web)
    for number in range(4):
        tell(web, {"id": f"n{number}", "type": "soft_bounce", "address": "ada@firma.example",
                   "message_id": mail.message_id})  # fmt: skip
    assert now_of(web, mail) == ("sent", [])
    tell(web, {"id": "n5", "type": "soft_bounce", "address": "ada@firma.example",
               "message_id": mail.message_id})  # fmt: skip
    assert now_of(web, mail) == ("sent", ["hard_bounce"])
    with web.services.database.system_session("tests: look", read_only=True) as session:
        (entry,) = session.scalars(select(MailSuppression))
        assert entry.expires_at == clock.now() + timedelta(days=14)
        assert len(session.scalars(select(MailNews)).all()) == 5


class Signer:
    """Signs messages as SNS does, with a certificate of its own."""

    def __init__(self) -> None:
        self.key: RSAPrivateKey = generate_private_key(65_537, 2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
        builder = builder.public_key(self.key.public_key()).serial_number(1)
        builder = builder.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        made = builder.not_valid_after(datetime(2040, 1, 1, tzinfo=UTC)).sign(
            self.key, hashes.SHA256()
        )
        self.certificate = made.public_bytes(serialization.Encoding.PEM)
        self.asked: list[str] = []

    def fetched(self, url: str) -> bytes:
        self.asked.append(url)
        return self.certificate

    def message(self, text: str, **changes: str) -> bytes:
        given = {
            "Type": "Notification", "MessageId": "m1", "TopicArn": TOPIC, "Message": text,
            "Timestamp": "2026-11-22T09:00:00.000Z", **changes,
        }  # fmt: skip
        names = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token",
                 "TopicArn", "Type"]  # fmt: skip
        lines = "".join(f"{name}\n{given[name]}\n" for name in names if name in given)
        signature = self.key.sign(lines.encode(), PKCS1v15(), hashes.SHA256())
        more = {"SignatureVersion": "2", "SigningCertURL": CERTIFICATE}
        return json.dumps(
            {**given, **more, "Signature": base64.b64encode(signature).decode()}
        ).encode()


def test_sns_messages_are_believed_with_amazons_signature_only(web: Web) -> None:
    """D15."""
    signer = Signer()
    web.app.extensions[SNS_READER] = SnsReader([TOPIC], signer.fetched)
    mail = sent_mail(web, provider_id="ses-1")
    text = json.dumps(
        {
            "notificationType": "Bounce",
            "bounce": {
                "bounceType": "Permanent",
                "bouncedRecipients": [
                    {"emailAddress": "ada@firma.example", "diagnosticCode": "550 gone"}
                ],
                "timestamp": "2026-11-22T09:00:00.000Z",
            },
            "mail": {"messageId": "ses-1"},
        }
    )
    post = web.anybody().client.post
    whole = signer.message(text)
    assert post("/hooks/mail/ses", data=whole.replace(b"550 gone", b"550 here")).status_code == 400
    assert post("/hooks/mail/ses", data=signer.message(text, TopicArn="arn:x")).status_code == 400
    elsewhere = json.loads(whole) | {
        "SigningCertURL": "https://sns.eu-central-1.evil.example/a.pem"
    }
    assert post("/hooks/mail/ses", data=json.dumps(elsewhere)).status_code == 400
    assert now_of(web, mail) == ("sent", [])
    assert post("/hooks/mail/ses", data=whole).json == {"received": True, "results": ["bounced"]}
    assert now_of(web, mail) == ("bounced", ["hard_bounce"])
    url = "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription"
    asks = signer.message("x", Type="SubscriptionConfirmation", SubscribeURL=url, Token="t")
    assert post("/hooks/mail/ses", data=asks).json == {"received": True, "confirmed": True}
    assert signer.asked[-1] == url


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-central-1.amazonaws.com/a.pem",
        "https://sns.eu-central-1.amazonaws.com.evil.example/a.pem",
        "https://user@sns.eu-central-1.amazonaws.com/a.pem",
        "https://sns.eu-central-1.amazonaws.com:8443/a.pem",
        "https://s3.eu-central-1.amazonaws.com/sns/a.pem",
    ],
)
def test_certificates_are_fetched_from_amazon_only(url: str) -> None:
    assert not is_of_amazon(url)


def test_a_reader_leaves_by_one_click_and_still_gets_what_they_ordered(web: Web) -> None:
    """D16, further: one click on news only."""
    tenant = make_tenant(web.services.database)
    key = web.services.settings.app_key
    made = headers("https://meet2be.example", key, Leaving(tenant.id, "ada@firma.example"))
    path = made["List-Unsubscribe"].strip("<>").removeprefix("https://meet2be.example")
    browser = web.anybody().client
    assert "No more news?" in browser.get(path).text
    assert browser.get(path[:-3]).status_code == 404
    database = web.services.database
    with database.system_session("tests: look", read_only=True) as session:
        assert session.scalars(select(MailSuppression)).all() == [], "a look changes nothing"
    assert browser.post(path, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    assert browser.post(path).status_code == 200
    statuses = {}
    for kind, template, context in (
        ("refund_made", "refund_made", REFUND),
        ("notice", "notice", {"name": "Ada", "title": "T", "body": "", "link": "",
                              "tenant_name": "A"}),
    ):  # fmt: skip
        draft = MailDraft(
            tenant_id=tenant.id, kind=kind, template=template, locale="de", context=context,
            to_addr="ada@firma.example", dedupe_key=kind, sender=SENDER,
        )  # fmt: skip
        with database.tenant_session(tenant.id) as session:
            statuses[kind] = enqueue(session, draft, database.clock.now()).status
            session.commit()
    assert statuses == {"refund_made": "queued", "notice": "suppressed"}
