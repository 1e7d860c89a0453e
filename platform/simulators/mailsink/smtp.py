"""The SMTP side: accept, refuse, defer, delay or drop, by the switches."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import SMTP

if TYPE_CHECKING:
    from aiosmtpd.smtp import Envelope, Session

    from simulators.mailsink.store import MailStore
    from simulators.rules import Rule

log = logging.getLogger(__name__)
MAX_MESSAGE = 32 * 1024 * 1024


class SinkHandler:
    """Decides each recipient and each message; a 250 is given only for what is on disk."""

    def __init__(self, store: MailStore) -> None:
        """Keep messages in `store`."""
        self._store = store

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        """Name PIPELINING too (RFC 2920): commands are read one after the other as they come."""
        del server, envelope
        session.host_name = hostname
        return [responses[0], "250-PIPELINING", *responses[1:]]

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's signature
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        rcpt_options: list[str],
    ) -> str:
        """Answer a recipient: 250, or what a `refuse`, `defer` or `greylist` rule says."""
        del server, session
        if rule := self._store.book.draw("refuse", "RCPT", address):
            return self._refusal(rule, 550, "5.1.1 No such mailbox here")
        if rule := self._store.book.draw("defer", "RCPT", address):
            return self._refusal(rule, 451, "4.3.0 Try again later")
        if self._store.book.draw("greylist", "RCPT", address) and not self._store.seen_before(
            str(envelope.mail_from), address
        ):
            return self._counted("451 4.7.1 Greylisted, try again")
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(rcpt_options)
        return self._counted("250 2.1.5 OK")

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Store the message, then answer; a `drop_after_data` rule cuts instead of answering."""
        del session
        if rule := self._draw("delay", envelope):
            await asyncio.sleep(float(rule.options.get("ms", 0)) / 1000)
        if rule := self._draw("refuse_data", envelope):
            return self._refusal(rule, 554, "5.6.0 Message refused")
        if self._draw("drop_before_data", envelope):
            return self._cut(server, "dropped before storing")
        content = envelope.original_content or b""
        number = self._store.add(str(envelope.mail_from), envelope.rcpt_tos, content)
        await self._store.store.committed()
        if self._draw("drop_after_data", envelope):
            return self._cut(server, "dropped after storing")
        return self._counted(f"250 2.0.0 OK, stored as {number}")

    def _draw(self, kind: str, envelope: Envelope) -> Rule | None:
        for address in envelope.rcpt_tos:
            if rule := self._store.book.draw(kind, "DATA", address):
                return rule
        return None

    def _refusal(self, rule: Rule, code: int, text: str) -> str:
        code = int(rule.options.get("code", code))
        return self._counted(f"{code} {rule.options.get('message', text)}")

    def _counted(self, answer: str) -> str:
        self._store.answers[answer[:3]] += 1
        return answer

    def _cut(self, server: SMTP, what: str) -> str:
        self._store.answers[what] += 1
        if isinstance(server.transport, asyncio.Transport):
            server.transport.abort()
        return "421 4.3.0 The connection is cut"


def protocol(store: MailStore) -> SMTP:
    """Return the protocol of one connection."""
    options: dict[str, Any] = {
        "data_size_limit": MAX_MESSAGE,
        "enable_SMTPUTF8": True,
        "hostname": "mailsink.localhost",
        "ident": "simulated mail sink",
        "timeout": 300,
    }
    return SMTP(SinkHandler(store), loop=asyncio.get_running_loop(), **options)
