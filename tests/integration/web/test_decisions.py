"""What a person decides about uncertain refunds and mails, and what the provider tells."""

import json
import sqlite3
from io import BytesIO
from typing import Any

import pytest
import stripe
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from meet2be.audit.models import AuditEntry
from meet2be.cancellations.models import CancelItem
from meet2be.mailings.models import Mail
from meet2be.payments.inbox import Received
from meet2be.payments.models import Payment, ProviderEvent, Refund
from meet2be.web import hooks
from meet2be.web.hooks import LARGEST_MESSAGE
from support.cancelling import SECRET
from support.stage import Stage


def make_uncertain(stage: Stage, row: Refund | Mail) -> None:
    """Make it as if the answer had been lost; a refund's money is only reserved then."""
    with stage.conference.database.tenant_session(stage.conference.tenant.id) as session:
        found = session.get_one(Refund if isinstance(row, Refund) else Mail, row.id)
        assert isinstance(found, Refund | Mail)
        found.status = "uncertain"
        if isinstance(found, Refund):
            payment = session.get_one(Payment, found.payment_id)
            payment.reserved_minor += found.amount_minor
            payment.refunded_minor -= found.amount_minor
            found.provider_refund_id = found.settled_at = None
        session.commit()


def an_uncertain_mail(stage: Stage) -> Mail:
    stage.conference.cancel()
    mail: Mail = stage.conference.mails()[0]
    make_uncertain(stage, mail)
    return mail


def test_an_uncertain_mail_is_marked_as_sent_with_the_reason_in_the_log(stage: Stage) -> None:
    mail = an_uncertain_mail(stage)
    page = stage.admin.page(f"/mail/{mail.uid}")
    assert "gets it twice" in page
    answer = stage.admin.post(f"/mail/{mail.uid}/mark", decision="sent", reason="she told me")
    assert answer.status_code == 303
    assert stage.conference.rows(Mail, Mail.id == mail.id)[0].status == "sent"
    item = stage.conference.rows(CancelItem, CancelItem.mail_id == mail.id)[0]
    assert item.mail_state == "sent"
    entry = stage.conference.rows(AuditEntry, AuditEntry.object_id == mail.uid)[0]
    assert (entry.action, entry.reason) == ("mail.decided_sent", "she told me")


def test_an_uncertain_mail_is_queued_once_more_when_a_person_says_so(stage: Stage) -> None:
    mail = an_uncertain_mail(stage)
    stage.admin.post(f"/mail/{mail.uid}/mark", decision="again", reason="the server's log is empty")
    assert stage.conference.rows(Mail, Mail.id == mail.id)[0].status == "queued"
    again = stage.admin.post(f"/mail/{mail.uid}/mark", decision="again", reason="twice")
    assert again.status_code == 409


def test_a_decision_about_a_mail_needs_a_reason_and_a_choice(stage: Stage) -> None:
    mail = an_uncertain_mail(stage)
    path = f"/mail/{mail.uid}/mark"
    assert stage.admin.post(path, decision="sent", reason=" ").status_code == 422
    assert stage.admin.post(path, decision="burn", reason="why not").status_code == 422
    assert stage.conference.rows(Mail, Mail.id == mail.id)[0].status == "uncertain"


def test_a_mail_with_a_code_never_shows_it(stage: Stage) -> None:
    run = stage.conference.preview()
    stage.admin.post(f"/cancellations/{run.uid}/code")
    mail = stage.conference.mails("confirmation_code")[0]
    code = "".join(sign for sign in mail.subject or "" if sign.isdigit())
    for path in ("/mail", f"/mail/{mail.uid}"):
        assert code not in stage.admin.page(path)


def test_an_uncertain_refund_is_looked_up_at_the_provider(stage: Stage) -> None:
    stage.conference.cancel()
    refund = stage.conference.refunds()[0]
    make_uncertain(stage, refund)
    assert "Look it up now" in stage.admin.page(f"/refunds/{refund.uid}")
    stage.admin.post(f"/refunds/{refund.uid}/lookup")
    assert stage.conference.rows(Refund, Refund.id == refund.id)[0].status == "succeeded"


def test_settling_a_refund_by_word_needs_a_reason(stage: Stage) -> None:
    stage.conference.cancel()
    refund = stage.conference.refunds()[0]
    make_uncertain(stage, refund)
    path = f"/refunds/{refund.uid}/mark-paid"
    assert stage.admin.post(path, reason="").status_code == 422
    assert stage.admin.post(path, reason="seen at the provider", made="no").status_code == 303
    assert stage.conference.rows(Refund, Refund.id == refund.id)[0].status == "failed"


def test_a_settled_refund_is_left_alone(stage: Stage) -> None:
    stage.conference.cancel()
    refund = stage.conference.refunds()[0]
    for verb in ("lookup", "retry", "mark-paid"):
        answer = stage.admin.post(f"/refunds/{refund.uid}/{verb}", reason="why not")
        assert answer.status_code == 303, verb
    assert stage.conference.rows(Refund, Refund.id == refund.id)[0].status == "succeeded"
    assert len(stage.conference.refunds()) == len(stage.conference.at_provider())


def event_of(stage: Stage, event_id: str = "evt_1") -> bytes:
    refund = stage.conference.refunds()[0]
    return json.dumps(
        {
            "id": event_id,
            "object": "event",
            "type": "refund.updated",
            "created": int(stage.conference.clock.time()),
            "livemode": False,
            "data": {
                "object": {
                    "id": refund.provider_refund_id,
                    "object": "refund",
                    "amount": refund.amount_minor,
                    "currency": "eur",
                    "status": "failed",
                    "failure_reason": "expired_or_canceled_card",
                    "payment_intent": "pi_x",
                    "created": int(stage.conference.clock.time()),
                    "metadata": {"m2b_refund": refund.uid},
                }
            },
        }
    ).encode()


def tell(stage: Stage, payload: bytes, signature: str) -> int:
    answer = stage.web.anybody().client.post(
        "/hooks/stripe", data=payload, headers={"Stripe-Signature": signature}
    )
    return answer.status_code


def test_a_signed_message_is_kept_once_and_thanked_for_every_time(stage: Stage) -> None:
    stage.conference.cancel()
    payload = event_of(stage)
    signature = stripe.WebhookSignature.generate_signature_header(payload.decode(), SECRET)
    assert [tell(stage, payload, signature) for _ in range(3)] == [200, 200, 200]
    with stage.conference.database.system_session("tests: look into the inbox") as session:
        assert session.scalar(select(func.count(ProviderEvent.id))) == 1


def test_a_message_nobody_signed_is_refused_and_forgotten(stage: Stage) -> None:
    stage.conference.cancel()
    payload = event_of(stage)
    forged = stripe.WebhookSignature.generate_signature_header(payload.decode(), "whsec_other")
    good = stripe.WebhookSignature.generate_signature_header(payload.decode(), SECRET)
    assert tell(stage, payload, forged) == 400
    assert tell(stage, payload, "") == 400
    assert tell(stage, payload.replace(b"evt_1", b"evt_2"), good) == 400
    with stage.conference.database.system_session("tests: look into the inbox") as session:
        assert session.scalar(select(func.count(ProviderEvent.id))) == 0


def test_a_message_is_answered_alike_at_the_door_and_by_the_route(stage: Stage) -> None:
    stage.conference.cancel()
    client = stage.web.anybody().client
    payload = event_of(stage)
    signature = stripe.WebhookSignature.generate_signature_header(payload.decode(), SECRET)
    answers = []
    for signed in (signature, "t=1,v1=00"):
        signs = {"Stripe-Signature": signed}
        # The first puts it into the inbox, so that the two others tell of the same repeat.
        client.post("/hooks/stripe", data=payload, headers=signs)
        at_the_door = client.post("/hooks/stripe", data=payload, headers=signs)
        by_the_route = client.post(
            "/hooks/stripe",
            input_stream=BytesIO(payload),
            headers=signs | {"Transfer-Encoding": "chunked"},
            environ_overrides={"wsgi.input_terminated": True},
        )
        answers.append((at_the_door, by_the_route))
    assert [door.status_code for door, _route in answers] == [200, 400]
    for door, route in answers:
        assert door.status == route.status
        assert door.data == route.data
        assert sorted(door.headers) == sorted(route.headers)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"data": b"x" * (LARGEST_MESSAGE + 1)}, 413),
        ({"data": b"{}", "headers": {"Host": "foreign.example"}}, 400),
        ({"method": "GET"}, 405),
    ],
    ids=["too long", "to a foreign host", "not posted"],
)
def test_what_is_not_plain_is_refused_by_the_pages(
    stage: Stage, request_: dict[str, Any], status: int
) -> None:
    client = stage.web.anybody().client
    assert client.open("/hooks/stripe", **{"method": "POST"} | request_).status_code == status


@pytest.mark.parametrize("length", ["", "abc", "-5", "+3"])
def test_of_a_length_that_cannot_be_read_the_door_reads_nothing(
    stage: Stage, length: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[bytes] = []

    def receive(_database: object, _provider: object, payload: bytes, _signature: str) -> Received:
        taken.append(payload)
        return Received(is_new=False, result=None)

    monkeypatch.setattr(hooks, "receive_tx", receive)
    stage.web.anybody().client.post(
        "/hooks/stripe",
        input_stream=BytesIO(b"{}" * 9),
        environ_overrides={"CONTENT_LENGTH": length},
    )
    assert taken == [b""], "only the route may have been asked, which reads what it is told to"


def test_a_message_that_cannot_be_kept_now_is_answered_as_any_page_is(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the provider sends it again."""
    calls = []

    def fails(*_arguments: object) -> None:
        calls.append(1)
        raise OperationalError("BEGIN", None, sqlite3.OperationalError("database is locked"))

    monkeypatch.setattr(hooks, "receive_tx", fails)
    assert tell(stage, b"{}", "t=1,v1=00") == 503
    assert len(calls) == 1, "the route tried again what had just failed"
