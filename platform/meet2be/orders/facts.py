"""What happens with orders, in the past tense; jobs are hung onto these."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OrderCanGoOn:
    """An order was placed, or what its next step waited for has come: its steps are to be run."""

    order_uid: str
