"""Events: written in the transaction of their cause, with a delivery row for each sending."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from simulators.provider.errors import missing
from simulators.provider.ledger import new_id
from simulators.provider.shapes import API_VERSION

if TYPE_CHECKING:
    from simulators.provider.ledger import Ledger
    from simulators.provider.shapes import Json


def emit(ledger: Ledger, account: str, events: list[tuple[str, Json, Json | None]]) -> list[int]:
    """Write events (type, object, previous attributes) and return their deliveries' numbers."""
    settings = ledger.behaviour.webhooks
    deliveries = []
    for index, (kind, subject, previous) in enumerate(events):
        event = _write(ledger, account, kind, subject, previous)
        if not settings.wants(kind):
            continue
        held_back = settings.out_of_order_ms if index == 0 else 0
        due = ledger.clock.now() + (settings.delay_ms + held_back) / 1000
        deliveries += [schedule(ledger, event, due) for _ in range(settings.copies)]
    return deliveries


def schedule(ledger: Ledger, event: int, due: float) -> int:
    """Write one delivery of an event, due at that simulated time, and return its number."""
    return ledger.store.write("INSERT INTO deliveries (event, due) VALUES (?, ?)", (event, due))


def resend(ledger: Ledger, identifier: str) -> int:
    """Send an event once more, at once; raises a 404 when there is no such event."""
    row = ledger.store.row("SELECT seq FROM events WHERE id = ?", (identifier,))
    if row is None:
        raise missing("event", identifier, "id")
    return schedule(ledger, row[0], ledger.clock.now())


def _write(ledger: Ledger, account: str, kind: str, subject: Json, previous: Json | None) -> int:
    identifier, created = new_id("evt"), int(ledger.clock.now())
    data: dict[str, Any] = {"object": subject}
    if previous is not None:
        data["previous_attributes"] = previous
    event = {
        "id": identifier,
        "object": "event",
        "api_version": API_VERSION,
        "created": created,
        "data": data,
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }
    if account:
        event["account"] = account
    return ledger.store.write(
        "INSERT INTO events (id, account, type, body, created) VALUES (?, ?, ?, ?, ?)",
        (identifier, account, kind, json.dumps(event), created),
    )
