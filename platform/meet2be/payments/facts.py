"""What happens with payments, in the past tense; jobs are hung onto these."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProviderEventReceived:
    """A message of the provider was stored and waits to be processed."""

    event_row: int
