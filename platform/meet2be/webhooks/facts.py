"""What happens with webhooks, in the past tense; jobs are hung onto these."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Announced:
    """Announcements stand in the database that endpoints are to get: numbers of their rows."""

    tenant_id: int
    events: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ready:
    """One delivery that a job can send: its number, its endpoint's, and its key."""

    delivery: int
    endpoint: int
    key: str


@dataclass(frozen=True, slots=True)
class DeliveriesReady:
    """Deliveries wait to be sent."""

    tenant_id: int
    deliveries: tuple[Ready, ...]
