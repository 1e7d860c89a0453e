"""Mail over SMTP (RFC 5321): the only importer of ``smtplib``.

``prepare`` says MAIL and RCPT, ``transmit`` says DATA and sends the message; see
``meet2be.integrations.mail`` for what a failure in either half means.
"""

from __future__ import annotations

import smtplib
import ssl
from contextlib import suppress
from dataclasses import dataclass

from meet2be.integrations.mail import (
    DeliveryDeferred,
    DeliveryRefused,
    DeliveryUncertain,
    Envelope,
)

READY_FOR_MESSAGE = 354
PERMANENT_FAILURE = 500


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """Where the server is and how to talk to it; ``timeout`` is in seconds for one answer."""

    host: str
    port: int = 25
    username: str | None = None
    password: str | None = None
    starttls: bool = False
    timeout: float = 30.0


class SmtpTransport:
    """Keeps one connection for as many messages as the server lets it; not thread-safe."""

    def __init__(self, settings: SmtpSettings) -> None:
        self.settings = settings
        self._connection: smtplib.SMTP | None = None

    def prepare(self, envelope: Envelope) -> None:
        """Announce sender and recipient; a connection that went stale is replaced once."""
        try:
            self._announce(self._connected(), envelope)
        except smtplib.SMTPServerDisconnected:
            self._drop()
            self._announce_on_a_fresh_connection(envelope)

    def transmit(self, envelope: Envelope) -> str:
        """Send the message of the prepared transaction; returns the server's answer."""
        connection = self._connected()
        self._ask_for_the_message(connection)
        try:
            connection.send(_dot_stuffed(envelope.content))
            code, answer = connection.getreply()
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            raise DeliveryUncertain(envelope.to_addr, str(error)) from error
        text = answer.decode("utf-8", "replace")
        _raise_unless_accepted(code, text, envelope.to_addr)
        return text

    def close(self) -> None:
        """Send QUIT, whatever it answers."""
        if self._connection is not None:
            with suppress(OSError, smtplib.SMTPException):
                self._connection.quit()
            self._connection = None

    def _announce_on_a_fresh_connection(self, envelope: Envelope) -> None:
        try:
            self._announce(self._connected(), envelope)
        except smtplib.SMTPServerDisconnected as error:
            self._drop()
            raise DeliveryDeferred(envelope.to_addr, 0, str(error)) from error

    def _connected(self) -> smtplib.SMTP:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> smtplib.SMTP:
        settings = self.settings
        try:
            connection = smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout)
            if settings.starttls:
                connection.starttls(context=ssl.create_default_context())
            if settings.username is not None:
                connection.login(settings.username, settings.password or "")
            connection.ehlo_or_helo_if_needed()
        except (OSError, smtplib.SMTPException) as error:
            where = f"{settings.host}:{settings.port}"
            raise DeliveryDeferred(where, 0, f"no mail server at {where}: {error}") from error
        return connection

    def _announce(self, connection: smtplib.SMTP, envelope: Envelope) -> None:
        options = ["SMTPUTF8"] if _needs_utf8(connection, envelope) else []
        try:
            _expect_yes(connection.mail(envelope.from_addr, options), envelope.to_addr)
            _expect_yes(connection.rcpt(envelope.to_addr), envelope.to_addr)
        except (DeliveryDeferred, DeliveryRefused):
            self._reset()
            raise
        except UnicodeEncodeError as error:
            self._reset()
            reason = "the mail server does not take addresses outside ASCII (SMTPUTF8, RFC 6531)"
            raise DeliveryRefused(envelope.to_addr, 553, reason) from error
        except smtplib.SMTPServerDisconnected:
            raise
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            raise DeliveryDeferred(envelope.to_addr, 0, str(error)) from error

    def _ask_for_the_message(self, connection: smtplib.SMTP) -> None:
        """Send DATA; nothing of the message has left yet, so a failure here may be repeated."""
        try:
            code, answer = connection.docmd("DATA")
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            raise DeliveryDeferred("", 0, str(error)) from error
        if code != READY_FOR_MESSAGE:
            self._reset()
            _raise_unless_accepted(code, answer.decode("utf-8", "replace"), "", accepted=())

    def _reset(self) -> None:
        if self._connection is not None:
            try:
                self._connection.rset()
            except (OSError, smtplib.SMTPException):
                self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _needs_utf8(connection: smtplib.SMTP, envelope: Envelope) -> bool:
    outside_ascii = not (envelope.to_addr.isascii() and envelope.from_addr.isascii())
    return outside_ascii and connection.has_extn("smtputf8")


def _expect_yes(reply: tuple[int, bytes], address: str) -> None:
    code, answer = reply
    _raise_unless_accepted(code, answer.decode("utf-8", "replace"), address)


def _raise_unless_accepted(
    code: int, text: str, address: str, accepted: tuple[int, ...] = (250, 251)
) -> None:
    if code in accepted:
        return
    if code >= PERMANENT_FAILURE:
        raise DeliveryRefused(address, code, text)
    raise DeliveryDeferred(address, code, text)


def _dot_stuffed(content: bytes) -> bytes:
    """Protect leading dots and end the message (RFC 5321 §4.5.2)."""
    body = content.replace(b"\r\n.", b"\r\n..")
    if body.startswith(b"."):
        body = b"." + body
    return (body if body.endswith(b"\r\n") else body + b"\r\n") + b".\r\n"
