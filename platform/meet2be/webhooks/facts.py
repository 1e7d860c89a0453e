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
    is_test: bool = False


@dataclass(frozen=True, slots=True)
class DeliveriesReady:
    """Deliveries wait to be sent."""

    tenant_id: int
    deliveries: tuple[Ready, ...]


@dataclass(frozen=True, slots=True)
class EndpointResumed:
    """An endpoint is switched on: what was held back for it can be sent."""

    tenant_id: int
    endpoint: int


@dataclass(frozen=True, slots=True)
class ReplayAsked:
    """Somebody wants deliveries sent again: which, and up to which row they were there."""

    tenant_id: int
    user: int | None
    endpoint: int | None
    statuses: tuple[str, ...]
    type: str | None
    since: str | None
    until: str | None
    last: int
