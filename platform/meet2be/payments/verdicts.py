"""What became of one call for a refund, as the ledger books it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from meet2be.payments.provider import ProviderRefund


@dataclass(frozen=True, slots=True)
class Told:
    """The provider said what it has."""

    refund: ProviderRefund
    found: bool = False


@dataclass(frozen=True, slots=True)
class Declined:
    """A definite no. `account_trouble`: no refund of this account can work at the moment."""

    code: str
    text: str
    http_status: int | None = None
    provider_refund_id: str | None = None
    account_trouble: bool = False


@dataclass(frozen=True, slots=True)
class NotMade:
    """Looked up beyond doubt: the provider never made it, and this key is of no more use."""

    why: str


@dataclass(frozen=True, slots=True)
class RefundedElsewhere:
    """The payment had less left than was asked for; `found` is all the provider has of it."""

    text: str
    found: Sequence[ProviderRefund] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Unknown:
    """Not known; `look_at` is when to look it up, None when a person must."""

    code: str
    text: str
    look_at: datetime | None
    http_status: int | None = None
    stored: bool = False
    is_outage: bool = True


@dataclass(frozen=True, slots=True)
class Later:
    """Nothing happened; ask again at `at`."""

    code: str
    at: datetime


Verdict: TypeAlias = Told | Declined | NotMade | RefundedElsewhere | Unknown | Later


@dataclass(frozen=True, slots=True)
class Ruling:
    """A verdict on a refund; `attempt` is the number of the call that brought it."""

    refund_id: int
    attempt: int
    verdict: Verdict


def attempt_word(verdict: Verdict) -> tuple[str, int | None, str | None, str | None]:
    """Return outcome, HTTP status, code and text for the log of attempts."""
    match verdict:
        case Told(refund, found):
            return ("found" if found else refund.status, None, refund.provider_status, None)
        case Declined(code, text, http_status):
            return ("refused", http_status, code, text)
        case NotMade(why):
            return ("not_found", None, None, why)
        case RefundedElsewhere(text):
            return ("already_refunded", None, None, text)
        case Unknown(code, text, _, http_status):
            return ("uncertain", http_status, code, text)
        case Later(code):
            return ("busy", None, code, None)
