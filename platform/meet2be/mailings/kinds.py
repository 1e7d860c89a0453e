"""Every kind of mail: how it is called, what its template may say, and what holds it up.

A new kind takes its place here, with samples of all that its template gets: those are the names
that organisers may use, what a preview shows, and what a saved text is checked against.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from meet2be.language import N_


@dataclass(frozen=True, slots=True)
class MailKind:
    """A kind of mail; see the properties' comments for who may hold it up."""

    key: str
    words: str
    samples: Mapping[str, Any] = field(default_factory=dict)
    # Mails about something the reader did or has: leaving a list does not stop them.
    is_transactional: bool = True
    # Counted in the limit of a person, but never held up by it.
    is_security: bool = False
    # Money or access of third persons: leaves although the organisation is suspended.
    survives_suspension: bool = False
    # Whether an organisation may put its own words in place of ours.
    is_editable: bool = True
    # What may not be sent twice, because the second says the same about money or a secret.
    is_at_most_once: bool = True


_STARTS: Final = datetime(2027, 5, 14, 9, 0, tzinfo=UTC)
_TICKET: Final = {
    "name": "Ada Lovelace",
    "event_title": "Aurora Summit",
    "order_code": "K7F3Q",
    "tenant_name": "Aurora Conferences",
}
_ACCOUNT: Final = {
    "name": "Ada Lovelace",
    "tenant_name": "Aurora Conferences",
    "link": "https://meet2be.example/account",
}
_REFUND: Final = {"amount_minor": 39_900, "currency": "EUR"}

_KINDS: Final = (
    MailKind(
        "event_cancelled",
        N_("An event was cancelled"),
        {
            **_TICKET,
            **_REFUND,
            "starts_at": _STARTS,
            "ticket_code": "AURORA-0001",
            "ticket_name": "Regular",
            "outcome": "refunded",
            "message": "We will be back next year.",
        },
        survives_suspension=True,
    ),
    MailKind("refund_made", N_("A refund was made"), _TICKET | _REFUND, survives_suspension=True),
    MailKind("refund_failed", N_("A refund failed"), _TICKET | _REFUND, survives_suspension=True),
    MailKind(
        "order_confirmation",
        N_("An order is complete"),
        {
            **_TICKET,
            "starts_at": _STARTS,
            "total_minor": 79_800,
            "currency": "EUR",
            "tickets": ["Ada Lovelace – Regular – K7F3Q-1", "Grace Hopper – Regular – K7F3Q-2"],
            "ships": False,
            "link": "https://meet2be.example/t/aurora/aurora-summit/orders/sample",
        },
        is_at_most_once=False,
    ),
    MailKind(
        "order_apology",
        N_("An order came to nothing"),
        {**_TICKET, **_REFUND, "why": "sold_out", "link": "https://meet2be.example/sample"},
        survives_suspension=True,
    ),
    MailKind(
        "order_money_back",
        N_("A payment that an order has no use for goes back"),
        {**_TICKET, **_REFUND, "why": "paid_twice", "link": "https://meet2be.example/sample"},
        survives_suspension=True,
    ),
    MailKind(
        "order_refund",
        N_("Tickets of an order are paid back"),
        {
            **_TICKET,
            **_REFUND,
            "tickets": ["Ada Lovelace"],
            "link": "https://meet2be.example/t/aurora/aurora-summit/orders/sample",
        },
        survives_suspension=True,
    ),
    MailKind(
        "confirmation_code",
        N_("Code to confirm a cancellation"),
        {
            "name": "Ada Lovelace",
            "code": "12345678",
            "event_title": "Aurora Summit",
            "total": "1,995.00 €",
            "minutes": 15,
            "tenant_name": "Aurora Conferences",
        },
        is_security=True,
        survives_suspension=True,
        is_editable=False,
    ),
    MailKind(
        "welcome",
        N_("Welcome to a new member"),
        {
            "name": "Ada Lovelace",
            "tenant_name": "Aurora Conferences",
            "link": "https://meet2be.example/welcome/sample",
            "days": 14,
        },
        is_at_most_once=False,
    ),
    MailKind(
        "notice",
        N_("Notice to the people who run the organisation"),
        {
            "name": "Ada Lovelace",
            "title": "Your export is ready",
            "body": "1,200 attendees in 1 file.",
            "link": "https://meet2be.example/exports",
            "tenant_name": "Aurora Conferences",
        },
        is_transactional=False,
        is_editable=False,
        is_at_most_once=False,
    ),
    MailKind(
        "tenant_suspended",
        N_("The organisation was suspended"),
        {**_ACCOUNT, "reason": "The invoice of May is not paid."},
        survives_suspension=True,
        is_editable=False,
        is_at_most_once=False,
    ),
    MailKind(
        "password_reset",
        N_("Link to choose a new password"),
        {**_ACCOUNT, "minutes": 60},
        is_security=True,
        survives_suspension=True,
        is_editable=False,
        is_at_most_once=False,
    ),
    MailKind(
        "password_changed",
        N_("The password was changed"),
        {**_ACCOUNT, "at": _STARTS, "ip": "192.0.2.1"},
        is_security=True,
        survives_suspension=True,
        is_editable=False,
        is_at_most_once=False,
    ),
    MailKind(
        "invitation",
        N_("Invitation to an organisation"),
        {**_ACCOUNT, "inviter": "Grace Hopper", "role": "organiser", "days": 14},
        is_security=True,
        is_editable=False,
        is_at_most_once=False,
    ),
    MailKind(
        "sign_up",
        N_("Link that confirms a sign-up"),
        {**_ACCOUNT, "hours": 48},
        is_security=True,
        is_editable=False,
        is_at_most_once=False,
    ),
    MailKind(
        "sender_check",
        N_("Code that confirms a sender"),
        {**_ACCOUNT, "code": "12345678", "address": "events@aurora.example", "minutes": 60},
        is_security=True,
        is_editable=False,
        is_at_most_once=False,
    ),
    MailKind("trial", N_("Trial of a text"), is_editable=False, is_at_most_once=False),
)
KINDS: Final[Mapping[str, MailKind]] = {kind.key: kind for kind in _KINDS}
_SECURITY_WORDS: Final = ("password_reset", "invitation", "email_change", "sender_check")


def kind_of(key: str) -> MailKind:
    """Return the kind of that name; of an unknown one nothing is known but what its name tells."""
    is_security = key in _SECURITY_WORDS
    return KINDS.get(key) or MailKind(
        key,
        key.replace("_", " "),
        is_security=is_security,
        survives_suspension=is_security,
        is_editable=False,
    )
