"""The seam between the platform and whatever carries its mail.

A delivery has two halves, because SMTP has no idempotency: once the message itself has left, a
lost answer does not tell whether it was taken. ``prepare`` opens the transaction, where every
failure may be repeated; a failure inside ``transmit`` is :class:`DeliveryUncertain`, and nobody
sends again on their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from meet2be.errors import Meet2BeError


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a transport needs: two bare addresses and the finished message."""

    from_addr: str
    to_addr: str
    content: bytes


class GivenName(str):
    """What a provider calls a message that it took; its news name the message so."""

    __slots__ = ()


class MailTransport(Protocol):
    """Something that takes a message in two halves; see the module's head."""

    def prepare(self, envelope: Envelope, meanwhile: Callable[[], None] = ...) -> None:
        """Open the transaction; raises ``DeliveryDeferred`` or ``DeliveryRefused``.

        ``meanwhile`` is called while the server is waited for, if that takes time.
        """

    def transmit(self, envelope: Envelope, following: Envelope | None = None) -> str:
        """Send the prepared message, return the server's words; may raise ``DeliveryUncertain``.

        A ``GivenName`` where the provider gives the message one.

        ``following`` is the message that is prepared next: it may be announced already.
        """

    def abandon(self) -> None:
        """Forget a message that was announced or prepared and shall not leave now."""

    def close(self) -> None:
        """Say goodbye to the server, if one is connected."""


class MailError(Meet2BeError):
    """Root of this package's errors."""


class DeliveryDeferred(MailError):
    """The server said "later" or is away; nothing of the message left, so repeating is safe."""

    def __init__(self, address: str, code: int, text: str) -> None:
        self.address, self.code, self.text = address, code, text
        super().__init__(f"mail to '{address}' was put off ({code or 'no answer'}): {text}")


class TransportBroken(DeliveryDeferred):
    """No mail at all can leave until somebody does something: a wrong password, no rights."""


class DeliveryRefused(MailError):
    """The server refused this recipient or message for good; a repeat would be refused again."""

    def __init__(self, address: str, code: int, text: str) -> None:
        self.address, self.code, self.text = address, code, text
        super().__init__(f"mail to '{address}' was refused ({code}): {text}")


class DeliveryUncertain(MailError):
    """The message left and no answer came back: it may or may not have been taken."""

    def __init__(self, address: str, text: str) -> None:
        self.address, self.text = address, text
        super().__init__(
            f"mail to '{address}' was sent but not acknowledged ({text}); it may have arrived: "
            "look for its Message-ID at the mail server before sending it again"
        )
