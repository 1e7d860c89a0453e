"""Minor units as Stripe counts them, where that differs from ISO 4217.

Rules: https://docs.stripe.com/currencies (special cases, three-decimal currencies).
"""

from __future__ import annotations

from meet2be.money import smallest_step

# Without decimals today, but Stripe's API still wants two of them, always zero.
_AS_IF_TWO_DECIMALS = frozenset({"ISK", "UGX"})


def to_stripe(amount_minor: int, currency: str) -> int:
    """Return the figure Stripe wants for an amount in minor units."""
    return amount_minor * 100 if currency.upper() in _AS_IF_TWO_DECIMALS else amount_minor


def from_stripe(amount: int, currency: str) -> int:
    """Return minor units for a figure of Stripe's."""
    return amount // 100 if currency.upper() in _AS_IF_TWO_DECIMALS else amount


def is_payable(amount_minor: int, currency: str) -> bool:
    """Tell whether Stripe can move exactly this amount."""
    return amount_minor > 0 and amount_minor % smallest_step(currency.upper()) == 0
