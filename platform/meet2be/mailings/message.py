"""From an outbox row to the bytes of a message (RFC 5322, MIME)."""

from __future__ import annotations

from binascii import b2a_base64
from dataclasses import dataclass, field
from email.header import Header
from email.utils import format_datetime, formataddr, parseaddr
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import quote

import idna

from meet2be.integrations.mail import Envelope
from meet2be.integrations.storage import clean_filename

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime


LONGEST_LINE = 900
"""Characters; a line may have 998 (RFC 5322 §2.1.1)."""


@dataclass(frozen=True, slots=True)
class File:
    """One file that goes with a message."""

    filename: str
    content_type: str
    content: bytes


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
    files: Sequence[File] = ()


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
    """Return the finished envelope; the ``Message-ID`` is the letter's, the same at every try.

    Values are encoded by the standard library; the lines are put together here, because its
    message classes spend 1 to 4 ms on folding headers that are short, for each of thousands.
    """
    to_addr = one_line(ascii_domain(letter.to_addr))
    name = sha256(letter.message_id.encode()).hexdigest()[:32]
    texts, whole = f"=_{name}", f"=_with_files_{name}"
    lines = [f"{header}: {value}" for header, value in _headers(letter, to_addr)]
    if letter.files:
        lines += [f'Content-Type: multipart/mixed; boundary="{whole}"', "", f"--{whole}"]
    lines += [f'Content-Type: multipart/alternative; boundary="{texts}"']
    lines += ["", f"--{texts}", *_part(letter.text, "plain")]
    if letter.html:
        lines += [f"--{texts}", *_part(letter.html, "html")]
    lines += [f"--{texts}--", ""]
    for file in letter.files:
        lines += [f"--{whole}", *_file(file)]
    if letter.files:
        lines += [f"--{whole}--", ""]
    return Envelope(_sender(letter.from_addr)[1], to_addr, "\r\n".join(lines).encode())


def _headers(letter: Letter, to_addr: str) -> Iterator[tuple[str, str]]:
    yield "From", _sender(letter.from_addr)[0]
    yield "To", to_addr  # outside ASCII it stands as it is (RFC 6532)
    yield "Subject", _words(letter.subject)
    yield "Date", _date(letter.sent_at.replace(microsecond=0))
    yield "Message-ID", letter.message_id
    if letter.reply_to:
        yield "Reply-To", one_line(letter.reply_to)
    for name, value in letter.headers.items():
        yield name, _words(value)
    yield "MIME-Version", "1.0"


@lru_cache(maxsize=1024)
def _sender(address: str) -> tuple[str, str]:
    """Return a sender as a header shows it and as an envelope bears it; a tenant has one."""
    name, bare = parseaddr(one_line(address))
    return formataddr((name, bare)), bare


@lru_cache(maxsize=16)
def _date(second: datetime) -> str:
    """Return a moment as a header bears it; many mails leave within one second."""
    return format_datetime(second)


def _words(value: str) -> str:
    """Return a header's words: encoded where they are not ASCII or too long (RFC 2047, 5322)."""
    line = one_line(value)
    if line.isascii() and len(line) <= LONGEST_LINE:
        return line
    return Header(line, "utf-8").encode(linesep="\r\n")


def _part(text: str, subtype: str) -> list[str]:
    """Return a text as a part of the message."""
    return [f"Content-Type: text/{subtype}; charset=utf-8", *_encoded(text.encode())]


def _file(file: File) -> list[str]:
    """Return a file as a part that programs offer to save (RFC 2183)."""
    is_text = file.content_type.startswith("text/")
    kind = f"{file.content_type}; charset=utf-8" if is_text else file.content_type
    return [
        f"Content-Type: {kind}",
        f"Content-Disposition: attachment; {_filename(file.filename)}",
        *_encoded(file.content),
    ]


def _filename(name: str) -> str:
    """Return the name in one form: of two, some programs take the one without accents."""
    clean = clean_filename(name)
    return f'filename="{clean}"' if clean.isascii() else f"filename*=UTF-8''{quote(clean, safe='')}"


def _encoded(content: bytes) -> list[str]:
    """Return the rest of a part: what it holds, in base64 (RFC 2045 §6.8)."""
    encoded = b2a_base64(content, newline=False).decode("ascii")
    lines = (encoded[start : start + 76] for start in range(0, len(encoded), 76))
    return ["Content-Transfer-Encoding: base64", "", *lines]
