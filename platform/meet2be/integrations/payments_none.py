"""No payment provider: what a platform without a key for one has. Production insists on a key."""

from __future__ import annotations

from datetime import timedelta

from meet2be.payments.errors import BadProviderSignature, ProviderUnavailable
from meet2be.payments.provider import (
    ChargeOrder,
    Funds,
    PageOrder,
    PaymentPage,
    ProviderEvent,
    ProviderPayment,
    ProviderRefund,
    RefundOrder,
    Refused,
)

WHY = "no payment provider is configured: set STRIPE_API_KEY"


class NoProvider:
    """Refuses every refund and knows nothing."""

    name = "none"
    key_window = timedelta(0)

    def charge(self, order: ChargeOrder) -> Refused:
        """Refuse it, saying what is missing."""
        return Refused("no_provider", f"Nothing can be paid, {WHY}")

    def charge_of(
        self, mark: str, account: str | None, *, test_mode: bool
    ) -> ProviderPayment | None:
        """Raise ``ProviderUnavailable``."""
        raise ProviderUnavailable(self.name, f"look the payment {mark} up", WHY)

    @property
    def shortest_page(self) -> timedelta:
        """No page is ever opened."""
        return timedelta(0)

    def open_page(self, order: PageOrder) -> Refused:
        """Refuse it, saying what is missing."""
        return Refused("no_provider", f"Nothing can be paid, {WHY}")

    def page_of(self, ref: str, account: str | None, *, test_mode: bool) -> PaymentPage:
        """Raise ``ProviderUnavailable``."""
        raise ProviderUnavailable(self.name, f"look the page {ref} up", WHY)

    def close_page(self, ref: str, account: str | None, *, test_mode: bool) -> PaymentPage:
        """Raise ``ProviderUnavailable``."""
        raise ProviderUnavailable(self.name, f"close the page {ref}", WHY)

    def refund(self, order: RefundOrder) -> Refused:
        """Refuse it, saying what is missing."""
        return Refused("no_provider", f"{order.payment_ref} cannot be refunded, {WHY}")

    def refunds_of(
        self, payment_ref: str, account: str | None, *, test_mode: bool
    ) -> list[ProviderRefund]:
        """Raise ``ProviderUnavailable``."""
        raise ProviderUnavailable(self.name, f"list the refunds of {payment_ref}", WHY)

    def funds(self, account: str | None, *, test_mode: bool) -> list[Funds]:
        """Raise ``ProviderUnavailable``."""
        raise ProviderUnavailable(self.name, "read the balance", WHY)

    def verify(self, payload: bytes, signature: str) -> ProviderEvent:
        """Raise ``BadProviderSignature``: nobody can have signed anything for us."""
        raise BadProviderSignature(self.name, WHY)

    def read(self, payload: bytes) -> ProviderEvent:
        """Raise ``BadProviderSignature``."""
        raise BadProviderSignature(self.name, WHY)

    def close(self) -> None:
        """Do nothing: there is no connection."""
