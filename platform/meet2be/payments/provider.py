"""The seam to a payment provider: what we ask, and every answer there can be.

An answer is a value, never an exception: whoever asks has to say what each of them means for the
ledger. Only reads (look-ups, the balance) raise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol, TypeAlias

RefundStatus = Literal["succeeded", "pending", "failed", "cancelled"]
ChargeStatus = Literal["succeeded", "pending", "failed"]
EventKind = Literal[
    "refund", "payment_succeeded", "payment_failed", "dispute_opened", "dispute_won",
    "dispute_lost", "page", "other",
]  # fmt: skip

# Metadata every refund of ours carries at the provider; look-ups and events go by it.
META_REFUND = "m2b_refund"
META_RUN = "m2b_run"
META_TENANT = "m2b_tenant"
# And every payment, in the same way.
META_PAYMENT = "m2b_payment"

# In a provider's place: the money came in elsewhere, so a person has to pay it back.
OUTSIDE: Final = "outside"
PAID_OUTSIDE: Final = "paid_outside"
"""Why such a refund is a person's to make."""


@dataclass(frozen=True, slots=True)
class RefundOrder:
    """One refund to be made. All of it is frozen in the ledger before the provider is asked."""

    key: str
    payment_ref: str
    amount_minor: int
    currency: str
    account: str | None = None
    test_mode: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProviderRefund:
    """A refund as the provider has it, in our words and minor units."""

    id: str
    payment_ref: str | None
    amount_minor: int
    currency: str
    status: RefundStatus
    provider_status: str
    created_at: datetime
    pending_reason: str | None = None
    failure_code: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has the refund: `refund.status` says whether it is done or still pending."""

    refund: ProviderRefund


@dataclass(frozen=True, slots=True)
class Refused:
    """A definite no: nothing was refunded. Another try needs a new key."""

    code: str
    text: str
    http_status: int | None = None
    provider_refund_id: str | None = None


@dataclass(frozen=True, slots=True)
class AlreadyRefunded:
    """The payment has less left than was asked for: somebody refunded it elsewhere."""

    text: str


@dataclass(frozen=True, slots=True)
class Busy:
    """Nothing happened now: the same key is under way, or we are too fast. Ask again later."""

    code: str
    retry_after: float


@dataclass(frozen=True, slots=True)
class Uncertain:
    """Nobody knows whether it happened (time-out, reset, 5xx, nonsense): look it up.

    `replayed` marks an error the provider has stored under the key and will answer for ever.
    """

    code: str
    text: str
    http_status: int | None = None
    replayed: bool = False


RefundAnswer: TypeAlias = Accepted | Refused | AlreadyRefunded | Busy | Uncertain


@dataclass(frozen=True, slots=True)
class ChargeOrder:
    """One payment to be taken. `method` is the provider's token for a card we never see."""

    key: str
    amount_minor: int
    currency: str
    method: str
    account: str | None = None
    test_mode: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProviderPayment:
    """A payment as the provider has it, in our words and minor units.

    `pending` waits for the buyer (`action_url`, if the provider gave one) or for a bank.
    """

    id: str
    amount_minor: int
    currency: str
    status: ChargeStatus
    provider_status: str
    created_at: datetime
    action_url: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Charged:
    """The provider has the payment: `payment.status` says whether the money is in."""

    payment: ProviderPayment


ChargeAnswer: TypeAlias = Charged | Refused | Busy | Uncertain


PAGE_METHOD = "payment_page"
"""The way to pay that is chosen on the provider's own page; `payments.method` of such a one."""
PageStatus = Literal["open", "complete", "expired"]


@dataclass(frozen=True, slots=True)
class PageOrder:
    """A page of the provider's on which a buyer is to pay one sum, in minor units.

    `title` says to the buyer what it is for, `reference` is our order's code. Both addresses are
    ours: one for whoever has paid, one for whoever turns back. All of it is the same each time it
    is asked for under the same key.
    """

    key: str
    amount_minor: int
    currency: str
    title: str
    reference: str
    success_url: str
    cancel_url: str
    expires_at: datetime
    email: str | None = None
    language: str = "en"
    account: str | None = None
    test_mode: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PaymentPage:
    """A page as the provider has it; `payment` is what was paid on it, if it is known yet.

    `complete` says that the buyer is done, not that the money is in.
    """

    id: str
    status: PageStatus
    url: str | None = None
    payment: ProviderPayment | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """The provider has the page; its buyer is to be led to its `url`."""

    page: PaymentPage


PageAnswer: TypeAlias = Opened | Refused | Busy | Uncertain


@dataclass(frozen=True, slots=True)
class Funds:
    """What an account has available in one currency, in minor units."""

    currency: str
    available_minor: int


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """A verified message from the provider; `type` is its own word, `kind` ours.

    `payment_mark` is what we wrote on the payment: it is known before the provider's id is.
    """

    id: str
    type: str
    kind: EventKind
    account: str | None
    livemode: bool
    created_at: datetime
    refund: ProviderRefund | None = None
    payment_ref: str | None = None
    payment_mark: str | None = None


class PaymentProvider(Protocol):
    """A provider account we can refund with. Safe to use from many threads."""

    @property
    def name(self) -> str:
        """How payments name it: ``payments.provider``."""
        ...

    @property
    def key_window(self) -> timedelta:
        """For how long a key is sure to be honoured after it was first used."""
        ...

    def charge(self, order: ChargeOrder) -> ChargeAnswer:
        """Take a payment and return what is known afterwards; never raises."""
        ...

    def charge_of(
        self, mark: str, account: str | None, *, test_mode: bool
    ) -> ProviderPayment | None:
        """Return the payment that bears our mark, if any; raises ``ProviderUnavailable``."""
        ...

    @property
    def shortest_page(self) -> timedelta:
        """For how long a page has to be open at least."""
        ...

    def open_page(self, order: PageOrder) -> PageAnswer:
        """Make a page on which a buyer pays, return what is known afterwards; never raises."""
        ...

    def page_of(self, ref: str, account: str | None, *, test_mode: bool) -> PaymentPage:
        """Return a page with what was paid on it; raises ``ProviderUnavailable``."""
        ...

    def close_page(self, ref: str, account: str | None, *, test_mode: bool) -> PaymentPage:
        """Let nobody pay on a page any more; return how it stands then.

        Raises ``ProviderUnavailable``, also where it is paid already: look it up.
        """
        ...

    def refund(self, order: RefundOrder) -> RefundAnswer:
        """Ask for a refund and return what is known afterwards; never raises."""
        ...

    def refunds_of(
        self, payment_ref: str, account: str | None, *, test_mode: bool
    ) -> list[ProviderRefund]:
        """Return all refunds of a payment, newest first; raises ``ProviderUnavailable``."""
        ...

    def funds(self, account: str | None, *, test_mode: bool) -> list[Funds]:
        """Return what is available; raises ``ProviderUnavailable``."""
        ...

    def verify(self, payload: bytes, signature: str) -> ProviderEvent:
        """Return the event if the provider signed it; raises ``BadProviderSignature``."""
        ...

    def read(self, payload: bytes) -> ProviderEvent:
        """Return an event that was verified when it came in; raises ``BadProviderSignature``."""
        ...

    def close(self) -> None:
        """Close connections; the provider must not be used afterwards."""
        ...
