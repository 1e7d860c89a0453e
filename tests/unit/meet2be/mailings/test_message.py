"""From the parts of a mail to its bytes."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest

from meet2be.mailings.message import File, Letter, ascii_domain, seal


def letter(**changes: object) -> Letter:
    parts: dict[str, object] = {
        "message_id": "<uid@aurora.example>",
        "from_addr": "Müller Konferenzen <tickets@aurora.example>",
        "to_addr": "ada@firma.example",
        "subject": "Ihre Änderung",
        "text": "Grüße\n.eine Zeile mit Punkt\n",
        "html": "<p>日本</p>",
        "sent_at": datetime(2026, 11, 22, 8, 0, tzinfo=UTC),
    }
    return Letter(**{**parts, **changes})  # type: ignore[arg-type]


def parsed(sealed: Letter) -> EmailMessage:
    return message_from_bytes(seal(sealed).content, policy=policy.default)


def test_what_went_in_can_be_read_again() -> None:
    mail = parsed(letter(reply_to="hello@aurora.example", headers={"X-Meet2Be-Kind": "test"}))
    assert mail["Subject"] == "Ihre Änderung"
    assert mail["From"] == "Müller Konferenzen <tickets@aurora.example>"
    assert mail["To"] == "ada@firma.example"
    assert mail["Message-ID"] == "<uid@aurora.example>"
    assert mail["X-Meet2Be-Kind"] == "test"
    text, html = mail.iter_parts()
    assert text.get_content().splitlines() == ["Grüße", ".eine Zeile mit Punkt"]
    assert html.get_content().strip() == "<p>日本</p>"


@pytest.mark.parametrize("line_break", ["\r\n", "\n", "\r"])
def test_no_value_can_start_a_header_of_its_own(line_break: str) -> None:
    evil = f"Hello{line_break}Bcc: everybody@firma.example"
    mail = parsed(
        letter(
            subject=evil, from_addr=f"{evil} <a@b.example>", reply_to=evil, headers={"X-A": evil}
        )
    )
    assert mail["Bcc"] is None
    assert "Bcc" in mail["Subject"]


def test_a_domain_goes_over_the_wire_in_ascii_and_what_is_none_stays() -> None:
    assert ascii_domain("info@bücher6.example") == "info@xn--bcher6-3ya.example"
    assert ascii_domain("info@-ü-.example") == "info@-ü-.example"


def test_an_address_outside_ascii_stands_as_it_is() -> None:
    sealed = seal(letter(to_addr="jürgen@bücher6.example"))
    assert sealed.to_addr == "jürgen@xn--bcher6-3ya.example"
    assert "\r\nTo: jürgen@xn--bcher6-3ya.example\r\n".encode() in sealed.content


def test_files_go_with_a_message_under_names_in_any_script() -> None:
    """D19. The text stays what programs show first."""
    pdf = bytes(range(256)) * 20
    files = (
        File("Tägung 日本.pdf", "application/pdf", pdf),
        File('a"b\r\nBcc: x@y.example.ics', "text/calendar", "Grüße".encode()),
    )
    mail = parsed(letter(files=files))
    assert mail.get_content_type() == "multipart/mixed"
    assert mail["Bcc"] is None
    body = mail.get_body(("plain",))
    assert body is not None
    assert body.get_content().splitlines() == ["Grüße", ".eine Zeile mit Punkt"]
    one, two = mail.iter_attachments()
    assert (one.get_filename(), one.get_content()) == ("Tägung 日本.pdf", pdf)
    assert (two.get_content_type(), two.get_content()) == ("text/calendar", "Grüße")
    assert two["Bcc"] is None
    assert max(len(line) for line in seal(letter(files=files)).content.split(b"\r\n")) < 998
