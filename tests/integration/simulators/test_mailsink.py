"""The mail sink, spoken to with the standard library's SMTP client."""

import smtplib
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import SMTPUTF8
from pathlib import Path
from threading import Thread
from time import perf_counter

import pytest

from simulators.control import ControlError, MailSinkControl
from simulators.processes import MailSinkProcess


def letter(number: int = 1, to: str = "anna@guests.example") -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = "Absage: Grüße aus München"
    message["From"] = "tickets@meet.example"
    message["To"] = to
    message["Message-ID"] = f"<mail-{number}@meet.example>"
    message["X-Meet2Be-Mail"] = f"m-{number}"
    message.set_content("Die Konferenz wurde abgesagt.")
    return message


@contextmanager
def connected(mailsink: MailSinkProcess) -> Iterator[smtplib.SMTP]:
    client = smtplib.SMTP(mailsink.host, mailsink.port, timeout=60)
    try:
        yield client
    finally:
        client.close()


@pytest.fixture
def control(mailsink: MailSinkProcess) -> MailSinkControl:
    return mailsink.control


def test_an_accepted_message_is_kept_with_envelope_headers_and_body(
    mailsink: MailSinkProcess, control: MailSinkControl
) -> None:
    with connected(mailsink) as client:
        client.send_message(letter())
    (found,) = control.messages()
    assert found.recipients == ["anna@guests.example"]
    assert found.mail_from == "tickets@meet.example"
    assert found.message_id == "<mail-1@meet.example>"
    assert found.subject == "Absage: Grüße aus München"
    assert found.headers["X-Meet2Be-Mail"] == "m-1"
    assert b"Die Konferenz wurde abgesagt." in control.body(found.number)


def test_an_accepted_message_survives_a_kill(tmp_path: Path) -> None:
    with MailSinkProcess(tmp_path / "mail") as own:
        with connected(own) as client:
            for number in range(5):
                client.send_message(letter(number))
            own.kill()
        own.start()
        assert [mail.message_id for mail in own.control.messages()] == [
            f"<mail-{number}@meet.example>" for number in range(5)
        ]


def test_messages_are_counted_by_message_id_and_by_recipient(
    mailsink: MailSinkProcess, control: MailSinkControl
) -> None:
    with connected(mailsink) as client:
        client.send_message(letter(1))
        client.send_message(letter(1))
        client.send_message(letter(2, "bert@guests.example"))
    summary = control.summary()
    assert (summary["received"], summary["distinct_message_ids"]) == (3, 2)
    assert summary["repeated_message_ids"] == {"<mail-1@meet.example>": 2}
    assert summary["per_recipient"] == {"anna@guests.example": 2, "bert@guests.example": 1}
    assert [mail.message_id for mail in control.messages("bert@guests.example")] == [
        "<mail-2@meet.example>"
    ]
    assert control.messages(after=control.messages()[0].number)[0].message_id is not None


def test_a_second_mail_under_another_message_id_is_still_seen(
    mailsink: MailSinkProcess, control: MailSinkControl
) -> None:
    with connected(mailsink) as client:
        client.send_message(letter(1))
        client.send_message(letter(2))
    assert control.summary()["repeated_message_ids"] == {}
    assert control.summary()["repeated_recipient_and_subject"] == [
        {"recipient": "anna@guests.example", "subject": "Absage: Grüße aus München", "count": 2}
    ]


def test_a_refused_recipient_gets_a_550_and_nothing_is_kept(
    mailsink: MailSinkProcess, control: MailSinkControl
) -> None:
    control.rule("refuse", subject="*@gone.example")
    with connected(mailsink) as client:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            client.send_message(letter(1, "anna@gone.example"))
        client.send_message(letter(2))
    assert refused.value.recipients["anna@gone.example"][0] == 550
    assert [mail.message_id for mail in control.messages()] == ["<mail-2@meet.example>"]
    assert control.summary()["answers"]["550"] == 1


def test_a_deferred_recipient_gets_a_451_as_often_as_asked_for(
    mailsink: MailSinkProcess, control: MailSinkControl
) -> None:
    control.rule("defer", times=2)
    with connected(mailsink) as client:
        for _ in range(2):
            with pytest.raises(smtplib.SMTPRecipientsRefused) as deferred:
                client.send_message(letter())
            assert deferred.value.recipients["anna@guests.example"][0] == 451
        client.send_message(letter())
    assert len(control.messages()) == 1


def test_a_whole_message_can_be_refused_after_data(
    mailsink: MailSinkProcess, control: MailSinkControl
) -> None:
    control.rule("refuse_data", times=1, code=552, message="5.3.4 Too big")
    with connected(mailsink) as client, pytest.raises(smtplib.SMTPDataError) as refused:
        client.send_message(letter())
    assert refused.value.smtp_code == 552
    assert control.messages() == []


@pytest.mark.parametrize(("kind", "kept"), [("drop_after_data", 1), ("drop_before_data", 0)])
def test_a_dropped_connection_tells_the_client_nothing(
    mailsink: MailSinkProcess, control: MailSinkControl, kind: str, kept: int
) -> None:
    control.rule(kind, times=1)
    with (
        connected(mailsink) as client,
        pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)),
    ):
        client.send_message(letter())
    assert len(control.messages()) == kept


def test_the_first_try_can_be_greylisted(
    mailsink: MailSinkProcess, control: MailSinkControl
) -> None:
    control.rule("greylist")
    with connected(mailsink) as client:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as deferred:
            client.send_message(letter())
        assert deferred.value.recipients["anna@guests.example"][0] == 451
        client.send_message(letter())
    assert len(control.messages()) == 1


def test_accepting_can_be_slow(mailsink: MailSinkProcess, control: MailSinkControl) -> None:
    control.rule("delay", ms=200)
    started = perf_counter()
    with connected(mailsink) as client:
        client.send_message(letter())
    assert perf_counter() - started >= 0.2


def test_international_addresses_arrive_as_utf8_or_encoded(
    mailsink: MailSinkProcess, control: MailSinkControl
) -> None:
    with connected(mailsink) as client:
        message = letter(1, "info@bücher6.example")
        client.sendmail(
            "tickets@meet.example",
            ["info@bücher6.example"],
            message.as_bytes(policy=SMTPUTF8),
            mail_options=["SMTPUTF8"],
        )
        client.send_message(letter(2), to_addrs=["info@xn--bcher6-3ya.example"])
    utf8, encoded = control.messages()
    assert (utf8.recipients, utf8.to) == (["info@bücher6.example"], "info@bücher6.example")
    assert utf8.subject == "Absage: Grüße aus München"
    assert encoded.recipients == ["info@xn--bcher6-3ya.example"]


def test_many_connections_at_once_lose_nothing(
    mailsink: MailSinkProcess, control: MailSinkControl
) -> None:
    def send(part: int) -> None:
        with connected(mailsink) as client:
            for number in range(25):
                client.send_message(letter(part * 25 + number))

    senders = [Thread(target=send, args=(part,)) for part in range(8)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    summary = control.summary()
    assert (summary["received"], summary["distinct_message_ids"]) == (200, 200)


def test_a_client_that_goes_away_before_the_end_leaves_nothing(
    mailsink: MailSinkProcess, control: MailSinkControl
) -> None:
    with socket.create_connection((mailsink.host, mailsink.port), timeout=60) as raw:
        for line in (b"EHLO x", b"MAIL FROM:<a@b.example>", b"RCPT TO:<c@d.example>", b"DATA"):
            raw.recv(4096)
            raw.sendall(line + b"\r\n")
        raw.recv(4096)
        raw.sendall(b"Subject: half\r\n")
    assert control.messages() == []


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (lambda control: control.rule("explode"), "Unknown rule kind 'explode'"),
        (lambda control: control.behave(latency_ms=1), "Unknown switch 'latency_ms'"),
    ],
)
def test_an_unknown_switch_is_refused_with_what_is_known(
    control: MailSinkControl, attempt: Callable[[MailSinkControl], object], text: str
) -> None:
    with pytest.raises(ControlError, match=text):
        attempt(control)
