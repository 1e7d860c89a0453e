"""From an outbox row to the bytes of a message (RFC 5322, MIME)."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.charset import QP, Charset
from email.header import Header
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import compat32
from email.utils import format_datetime, formataddr, parseaddr
from typing import TYPE_CHECKING

import idna

from meet2be.integrations.mail import Envelope

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime


# The library's newer message class takes four times as long for the same bytes.
_POLICY = compat32.clone(linesep="\r\n")
_QUOTED_UTF8 = Charset("utf-8")
_QUOTED_UTF8.body_encoding = QP


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
    to_addr = one_line(ascii_domain(letter.to_addr))
    message = MIMEMultipart("alternative")
    for name, value in _headers(letter):
        message[name] = value
    message.attach(_part(letter.text, "plain"))
    if letter.html:
        message.attach(_part(letter.html, "html"))
    # Outside ASCII an address stands in a header as it is (RFC 6532); the library would encode it.
    content = b"To: " + to_addr.encode() + b"\r\n" + message.as_bytes(policy=_POLICY)
    return Envelope(parseaddr(letter.from_addr)[1], to_addr, content)


def _headers(letter: Letter) -> Iterator[tuple[str, str]]:
    yield "From", _address(letter.from_addr)
    yield "Subject", _words(letter.subject)
    yield "Date", format_datetime(letter.sent_at)
    yield "Message-ID", letter.message_id
    if letter.reply_to:
        yield "Reply-To", one_line(letter.reply_to)
    for name, value in letter.headers.items():
        yield name, _words(value)


def _address(address: str) -> str:
    name, bare = parseaddr(one_line(address))
    return formataddr((name, bare))


def _words(value: str) -> str:
    """Return a header's words on one line, encoded where they are not ASCII (RFC 2047)."""
    line = one_line(value)
    return line if line.isascii() else Header(line, "utf-8").encode()


def _part(text: str, subtype: str) -> MIMEText:
    return MIMEText(text, subtype, _QUOTED_UTF8)  # type: ignore[arg-type]  # takes a Charset too
