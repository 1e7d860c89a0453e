"""The provider's durable ledger: payments, refunds, idempotency keys, events, deliveries."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from typing import TYPE_CHECKING, Any

from simulators.clock import SimulatedClock
from simulators.durable import DurableStore
from simulators.provider.behaviour import Behaviour

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS payments (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    charge TEXT UNIQUE,
    account TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    refunded INTEGER NOT NULL DEFAULT 0 CHECK (refunded BETWEEN 0 AND amount),
    currency TEXT NOT NULL,
    status TEXT NOT NULL,
    disputed INTEGER NOT NULL DEFAULT 0,
    metadata TEXT NOT NULL,
    description TEXT,
    created INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS refunds (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    payment TEXT NOT NULL REFERENCES payments (id),
    account TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    currency TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    metadata TEXT NOT NULL,
    pending_reason TEXT,
    failure_reason TEXT,
    drawn INTEGER NOT NULL,
    settle_at REAL,
    settle_status TEXT,
    settle_failure TEXT,
    origin TEXT NOT NULL,
    idempotency_key TEXT,
    created INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS refunds_payment ON refunds (payment);
CREATE INDEX IF NOT EXISTS refunds_settle_at ON refunds (settle_at) WHERE settle_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS sessions (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    account TEXT NOT NULL,
    status TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    currency TEXT NOT NULL,
    title TEXT NOT NULL,
    reference TEXT,
    email TEXT,
    metadata TEXT NOT NULL,
    payment_metadata TEXT NOT NULL,
    success_url TEXT NOT NULL,
    cancel_url TEXT,
    payment TEXT REFERENCES payments (id),
    expires_at INTEGER NOT NULL,
    created INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS sessions_payment ON sessions (payment);
CREATE INDEX IF NOT EXISTS sessions_open ON sessions (expires_at) WHERE status = 'open';
CREATE TABLE IF NOT EXISTS idempotency_keys (
    account TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    request_id TEXT NOT NULL,
    status INTEGER NOT NULL,
    body TEXT NOT NULL,
    created REAL NOT NULL,
    PRIMARY KEY (account, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    account TEXT NOT NULL,
    type TEXT NOT NULL,
    body TEXT NOT NULL,
    created INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS deliveries (
    seq INTEGER PRIMARY KEY,
    event INTEGER NOT NULL REFERENCES events (seq),
    due REAL NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'waiting'
);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (due) WHERE state = 'waiting';
CREATE TABLE IF NOT EXISTS balances (
    account TEXT NOT NULL,
    currency TEXT NOT NULL,
    available INTEGER NOT NULL,
    PRIMARY KEY (account, currency)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


def new_id(prefix: str) -> str:
    """Return a fresh identifier in Stripe's style, such as `re_5f0c…`."""
    return f"{prefix}_{secrets.token_hex(12)}"


class Ledger:
    """The store with what belongs to it: the clock, the switches and the counters of calls."""

    def __init__(self, path: Path) -> None:
        """Open the ledger at `path`; clock, switches and counters are as they were left."""
        self.store = DurableStore(path, SCHEMA)
        self.clock = SimulatedClock(float(self._setting("clock_offset", 0)))
        self.public_url = ""
        """Where browsers find the hosted pages; known once it is served."""
        self.behaviour = Behaviour().changed_by(self._setting("behaviour", {}))
        self.calls: Counter[str] = Counter(self._setting("calls", {}))
        self._calls_written = self.calls.total()
        self.store.before_commit(self._write_memory)

    def set_behaviour(self, behaviour: Behaviour) -> None:
        """Put these switches in force and keep them over a restart."""
        self.behaviour = behaviour
        self._set("behaviour", behaviour.to_json())

    def advance_clock(self, seconds: float) -> None:
        """Move the clock forward and keep that over a restart."""
        self.clock.advance(seconds)
        self._set("clock_offset", self.clock.offset)

    def move_balance(self, account: str, currency: str, amount: int) -> None:
        """Add to (or take from) the balance of a currency, in minor units."""
        self.store.write(
            "INSERT INTO balances VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET available = available + excluded.available",
            (account, currency, amount),
        )

    def balance(self, account: str, currency: str) -> int:
        """Return what is available in a currency, in minor units; negative when overdrawn."""
        row = self.store.row(
            "SELECT available FROM balances WHERE account = ? AND currency = ?",
            (account, currency),
        )
        return 0 if row is None else int(row[0])

    def _setting(self, name: str, default: Any) -> Any:
        row = self.store.row("SELECT value FROM settings WHERE name = ?", (name,))
        return default if row is None else json.loads(row[0])

    def _set(self, name: str, value: object) -> None:
        self.store.write("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, json.dumps(value)))

    def _write_memory(self) -> None:
        """Write counters that are only counted in memory along with whatever else is written."""
        if self.behaviour.book.changed:
            self.behaviour.book.changed = False
            self._set("behaviour", self.behaviour.to_json())
        if (total := self.calls.total()) != self._calls_written:
            self._calls_written = total
            self._set("calls", self.calls)
