"""What happens with alerts, in the past tense; jobs are hung onto these."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AlertsWaiting:
    """Notices wait to be brought to an organisation's own channels: a ``SendAlert`` each."""

    tenant_id: int
    deliveries: tuple[int, ...]
