"""What happens with refunds outside cancel runs, in the past tense."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RefundsOpened:
    """Refunds stand in the ledger, reserved, and wait to be sent."""

    refunds: tuple[int, ...]
