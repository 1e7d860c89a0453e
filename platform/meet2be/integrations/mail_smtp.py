"""Mail over SMTP (RFC 5321): the only importer of ``smtplib``.

``prepare`` says MAIL, RCPT and DATA, ``transmit`` sends the message; see
``meet2be.integrations.mail`` for what a failure in either half means. To a server that need not be
waited for (PIPELINING) the next message is announced right behind the one before.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from meet2be.integrations.mail import (
    DeliveryDeferred,
    DeliveryRefused,
    DeliveryUncertain,
    Envelope,
    TransportBroken,
)
from meet2be.integrations.smtp_dialogue import ConnectionLost, Dialogue, Reply

READY_FOR_MESSAGE: Final = 354
PERMANENT_FAILURE: Final = 500
BAD_ADDRESS: Final = 553
_YES: Final = (250, 251)
_NOT_FROM_US: Final = frozenset({530, 534, 535, 538})
"""What a server says that lets nobody in who has not logged in as it wants (RFC 4954, RFC 3207)."""
_ENDS_AN_ADDRESS: Final = frozenset("\r\n<>")

PATIENCE: Final = 0.005
"""Seconds for which an answer that is due at any moment is waited for before others' work."""


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """Where the server is and how to talk to it; ``timeout`` is in seconds for one answer."""

    host: str
    port: int = 25
    username: str | None = None
    password: str | None = None
    starttls: bool = False
    timeout: float = 30.0


def _nothing() -> None:
    """Use the server's time for nothing."""


class SmtpTransport:
    """Keeps one connection for as many messages as the server lets it; not thread-safe."""

    def __init__(self, settings: SmtpSettings) -> None:
        self.settings = settings
        self._dialogue: Dialogue | None = None
        self._announced: Envelope | None = None
        """Whose MAIL, RCPT and DATA were said and are not answered yet."""
        self._opened: Envelope | None = None
        """Whose message the server waits for."""

    def prepare(self, envelope: Envelope, meanwhile: Callable[[], None] = _nothing) -> None:
        """Announce sender and recipient; a connection that went stale is replaced once."""
        if self._opened is not None or self._announced not in {None, envelope}:
            self.abandon()
        try:
            self._open(envelope, meanwhile)
        except ConnectionLost:
            self._drop()
            self._open_on_a_fresh_connection(envelope)

    def transmit(self, envelope: Envelope, following: Envelope | None = None) -> str:
        """Send the message of the prepared transaction; returns the server's answer."""
        dialogue = self._dialogue
        if dialogue is None or self._opened != envelope:
            raise DeliveryDeferred(envelope.to_addr, 0, "its transaction is not open any more")
        self._opened = None
        try:
            dialogue.say(_dot_stuffed(envelope.content) + self._announcement(dialogue, following))
            reply = dialogue.hear()
        except ConnectionLost as error:
            self._drop()
            raise DeliveryUncertain(envelope.to_addr, str(error)) from error
        _raise_unless_accepted(reply, envelope.to_addr)
        return reply.text

    def abandon(self) -> None:
        """Leave what was announced unsent: after DATA, hanging up is the only way."""
        if self._announced is not None or self._opened is not None:
            self._drop()

    def close(self) -> None:
        """Send QUIT, whatever it answers."""
        if self._dialogue is not None:
            with suppress(ConnectionLost):
                self._dialogue.say(b"QUIT\r\n")
                self._dialogue.hear()
            self._drop()

    def _open_on_a_fresh_connection(self, envelope: Envelope) -> None:
        try:
            self._open(envelope, _nothing)
        except ConnectionLost as error:
            self._drop()
            raise DeliveryDeferred(envelope.to_addr, 0, str(error)) from error

    def _open(self, envelope: Envelope, meanwhile: Callable[[], None]) -> None:
        dialogue = self._connected()
        replies = (
            self._announce_at_once(dialogue, envelope, meanwhile)
            if dialogue.pipelines
            else self._announce_in_turn(dialogue, envelope, meanwhile)
        )
        try:
            _raise_unless_opened(replies, envelope.to_addr)
        except (DeliveryDeferred, DeliveryRefused):
            self._reset(dialogue, replies)
            raise
        self._opened = envelope

    def _announce_at_once(
        self, dialogue: Dialogue, envelope: Envelope, meanwhile: Callable[[], None]
    ) -> list[Reply]:
        commands = _commands(dialogue, envelope)
        if self._announced is None:
            dialogue.say(b"".join(commands))
        self._announced = envelope
        if not dialogue.is_answered(PATIENCE):
            meanwhile()
        replies = [dialogue.hear() for _ in commands]
        self._announced = None
        return replies

    def _announce_in_turn(
        self, dialogue: Dialogue, envelope: Envelope, meanwhile: Callable[[], None]
    ) -> list[Reply]:
        replies: list[Reply] = []
        meanwhile()
        for command in _commands(dialogue, envelope):
            dialogue.say(command)
            replies.append(dialogue.hear())
            if replies[-1].code not in {*_YES, READY_FOR_MESSAGE}:
                break
        return replies

    def _announcement(self, dialogue: Dialogue, following: Envelope | None) -> bytes:
        """Return what announces the next message behind this one, if the server takes it so."""
        if following is None or not dialogue.pipelines:
            return b""
        try:
            commands = _commands(dialogue, following)
        except DeliveryRefused:
            return b""  # its own turn tells why
        self._announced = following
        return b"".join(commands)

    def _reset(self, dialogue: Dialogue, replies: Sequence[Reply]) -> None:
        """Make the connection fit for the next message after this one was not let in."""
        if replies[-1].code == READY_FOR_MESSAGE:
            self._drop()  # it waits for a message to nobody
            return
        try:
            dialogue.say(b"RSET\r\n")
            dialogue.hear()
        except ConnectionLost:
            self._drop()

    def _connected(self) -> Dialogue:
        if self._dialogue is None:
            self._dialogue = self._connect()
        return self._dialogue

    def _connect(self) -> Dialogue:
        settings = self.settings
        try:
            connection = smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout)
            try:
                return _greeted(connection, settings)
            except BaseException:
                connection.close()
                raise
        except (OSError, smtplib.SMTPException) as error:
            raise _of_no_connection(f"{settings.host}:{settings.port}", error) from error

    def _drop(self) -> None:
        self._announced = self._opened = None
        if self._dialogue is not None:
            self._dialogue.hang_up()
            self._dialogue = None


def _commands(dialogue: Dialogue, envelope: Envelope) -> list[bytes]:
    """Return MAIL, RCPT and DATA; raises ``DeliveryRefused`` for what cannot be said."""
    sender, recipient = envelope.from_addr, envelope.to_addr
    if not _ENDS_AN_ADDRESS.isdisjoint(sender + recipient):
        reason = "the address holds a sign that would end it"
        raise DeliveryRefused(recipient, BAD_ADDRESS, reason)
    is_ascii = sender.isascii() and recipient.isascii()
    if not is_ascii and not dialogue.takes_utf8:
        reason = "the mail server does not take addresses outside ASCII (SMTPUTF8, RFC 6531)"
        raise DeliveryRefused(recipient, BAD_ADDRESS, reason)
    option = "" if is_ascii else " SMTPUTF8"
    mail, rcpt = f"MAIL FROM:<{sender}>{option}\r\n", f"RCPT TO:<{recipient}>\r\n"
    return [mail.encode(), rcpt.encode(), b"DATA\r\n"]


def _greeted(connection: smtplib.SMTP, settings: SmtpSettings) -> Dialogue:
    """Say hello as the settings want it."""
    if settings.starttls:
        connection.starttls(context=ssl.create_default_context())
    if settings.username is not None:
        connection.login(settings.username, settings.password or "")
    connection.ehlo_or_helo_if_needed()
    if connection.sock is None:
        raise smtplib.SMTPServerDisconnected("the server has hung up")
    return Dialogue(connection.sock, connection.esmtp_features)


def _of_no_connection(where: str, error: Exception) -> DeliveryDeferred:
    """Return what a connection that was not made means: only a person mends some of them."""
    if isinstance(error, smtplib.SMTPAuthenticationError) and error.smtp_code >= PERMANENT_FAILURE:
        said = error.smtp_error
        said = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
        text = f"the mail server {where} does not take our user name and password: {said}"
        return TransportBroken(where, error.smtp_code, text)
    if isinstance(error, smtplib.SMTPNotSupportedError):
        text = f"the mail server {where} does not offer what we are to use: {error}"
        return TransportBroken(where, 0, text)
    if isinstance(error, ssl.SSLCertVerificationError):
        text = f"the certificate of the mail server {where} is not to be trusted: {error}"
        return TransportBroken(where, 0, text)
    return DeliveryDeferred(where, 0, f"no mail server at {where}: {error}")


def _raise_unless_opened(replies: Sequence[Reply], address: str) -> None:
    if replies[0].code in _NOT_FROM_US:
        text = f"the mail server takes no mail from us: {replies[0].text}"
        raise TransportBroken(address, replies[0].code, text)
    for reply in replies[:2]:
        _raise_unless_accepted(reply, address)
    _raise_unless_accepted(replies[2], address, accepted=(READY_FOR_MESSAGE,))


def _raise_unless_accepted(reply: Reply, address: str, accepted: Sequence[int] = _YES) -> None:
    if reply.code in accepted:
        return
    if reply.code >= PERMANENT_FAILURE:
        raise DeliveryRefused(address, reply.code, reply.text)
    raise DeliveryDeferred(address, reply.code, reply.text)


def _dot_stuffed(content: bytes) -> bytes:
    """Protect leading dots and end the message (RFC 5321 §4.5.2)."""
    body = content.replace(b"\r\n.", b"\r\n..")
    if body.startswith(b"."):
        body = b"." + body
    return (body if body.endswith(b"\r\n") else body + b"\r\n") + b".\r\n"
