"""From an outbox row to the bytes of a message (RFC 5322, MIME)."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime, parseaddr
from typing import TYPE_CHECKING

import idna

from meet2be.integrations.mail import Envelope

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Letter:
    """The parts of a message before it is put into bytes; ``from_addr`` may bear a display name."""

    message_id: str
    from_addr: str
    to_addr: str
    subject: str
    text: str
    html: str
    sent_at: datetime
    reply_to: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def ascii_domain(address: str) -> str:
    """Return ``address`` with its domain in IDNA form (RFC 5891); the local part stays as it is.

    A domain that is no valid IDNA is returned unchanged: the mail server gives the verdict then.
    """
    local, _, domain = address.rpartition("@")
    if domain.isascii():
        return address
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode()}"
    except idna.IDNAError:
        return address


def one_line(value: str) -> str:
    """Return ``value`` without line breaks, so that it cannot start a header of its own."""
    return " ".join(value.split())


def seal(letter: Letter) -> Envelope:
    """Return the finished envelope; the ``Message-ID`` is the letter's, the same at every try."""
    to_addr = ascii_domain(letter.to_addr)
    message = EmailMessage(policy=SMTP if to_addr.isascii() else SMTPUTF8)
    message["From"] = one_line(letter.from_addr)
    message["To"] = to_addr
    message["Subject"] = one_line(letter.subject)
    message["Date"] = format_datetime(letter.sent_at)
    message["Message-ID"] = letter.message_id
    if letter.reply_to:
        message["Reply-To"] = letter.reply_to
    for name, value in letter.headers.items():
        message[name] = one_line(value)
    message.set_content(letter.text, cte="quoted-printable")
    if letter.html:
        message.add_alternative(letter.html, subtype="html", cte="quoted-printable")
    return Envelope(parseaddr(letter.from_addr)[1], to_addr, message.as_bytes())
