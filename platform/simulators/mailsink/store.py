"""The mail sink's durable store: every accepted message and every refusal, in order."""

from __future__ import annotations

import json
from collections import Counter
from email.header import decode_header, make_header
from email.parser import BytesHeaderParser
from email.policy import Compat32
from typing import TYPE_CHECKING, Any

from simulators.clock import SimulatedClock
from simulators.durable import DurableStore
from simulators.rules import Rule, RuleBook, RuleError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Json = dict[str, Any]

SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    received REAL NOT NULL,
    mail_from TEXT NOT NULL,
    recipients TEXT NOT NULL,
    message_id TEXT,
    subject TEXT NOT NULL,
    to_header TEXT NOT NULL,
    headers TEXT NOT NULL,
    size INTEGER NOT NULL,
    content BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_id ON messages (message_id);
CREATE TABLE IF NOT EXISTS recipients (
    message INTEGER NOT NULL,
    address TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS recipients_address ON recipients (address);
CREATE TABLE IF NOT EXISTS greylist (
    mail_from TEXT NOT NULL,
    recipient TEXT NOT NULL,
    PRIMARY KEY (mail_from, recipient)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""

# Every kind of rule with the options it takes; `subject` of a rule is a recipient.
KINDS: dict[str, frozenset[str]] = {
    "refuse": frozenset({"code", "message"}),
    "defer": frozenset({"code", "message"}),
    "refuse_data": frozenset({"code", "message"}),
    "greylist": frozenset(),
    "delay": frozenset({"ms"}),
    "drop_before_data": frozenset(),
    "drop_after_data": frozenset(),
}
KEPT_HEADERS = ("date", "from", "reply-to", "auto-submitted", "list-unsubscribe", "in-reply-to")


class _AsReceived(Compat32):
    """Leaves header values alone; the modern policy takes milliseconds for each message."""

    def header_fetch_parse(self, name: str, value: str) -> str:
        del name
        return value


_HEADERS = BytesHeaderParser(policy=_AsReceived())


class MailStore:
    """Keeps messages, switches and counters; `store.committed()` makes them safe."""

    def __init__(self, path: Path) -> None:
        """Open the store at `path`; switches and counters are as they were left."""
        self.store = DurableStore(path, SCHEMA)
        self.clock = SimulatedClock()
        kept = self._setting("behaviour", {"rules": [], "seed": 0})
        self.book = self._book(kept["rules"], kept["seed"])
        self.answers: Counter[str] = Counter(self._setting("answers", {}))
        self._answers_written = self.answers.total()
        self.store.before_commit(self._write_memory)

    def behaviour(self) -> Json:
        """Return the switches in force."""
        return {"rules": [rule.to_json() for rule in self.book.rules], "seed": self.book.seed}

    def behave(self, changes: Json) -> None:
        """Put switches in force; raises RuleError for one that is not known."""
        current = self.behaviour()
        if unknown := set(changes) - set(current):
            message = f"Unknown switch '{', '.join(sorted(unknown))}'; known: {sorted(current)}."
            raise RuleError(message)
        wanted = {**current, **changes}
        self.book = self._book(wanted["rules"], int(wanted["seed"]))
        self._set("behaviour", self.behaviour())

    def add(self, mail_from: str, recipients: Sequence[str], content: bytes) -> int:
        """Write one accepted message and return its number."""
        message = _HEADERS.parsebytes(content)
        headers = {
            name: _decoded(value)
            for name, value in message.items()
            if name.lower() in KEPT_HEADERS or name.lower().startswith("x-")
        }
        message_id = message.get("Message-ID")
        number = self.store.write(
            "INSERT INTO messages (received, mail_from, recipients, message_id, subject,"
            " to_header, headers, size, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self.clock.now(),
                mail_from,
                json.dumps(list(recipients)),
                None if message_id is None else str(message_id).strip(),
                _decoded(message.get("Subject", "")),
                _decoded(message.get("To", "")),
                json.dumps(headers),
                len(content),
                content,
            ),
        )
        self.store.write_many(
            "INSERT INTO recipients VALUES (?, ?)", [(number, address) for address in recipients]
        )
        return number

    def seen_before(self, mail_from: str, recipient: str) -> bool:
        """Tell whether this pair has tried before, and note that it has now."""
        known = self.store.row(
            "SELECT 1 FROM greylist WHERE mail_from = ? AND recipient = ?", (mail_from, recipient)
        )
        if known is None:
            self.store.write("INSERT INTO greylist VALUES (?, ?)", (mail_from, recipient))
        return known is not None

    def messages(self, recipient: str | None, after: int, limit: int) -> list[Json]:
        """Return messages without their bodies, oldest first."""
        only = "" if recipient is None else (
            " AND number IN (SELECT message FROM recipients WHERE address = ?)"
        )  # fmt: skip
        rows = self.store.rows(
            "SELECT number, received, mail_from, recipients, message_id, subject, to_header,"  # noqa: S608 - constants
            f" headers, size FROM messages WHERE number > ?{only} ORDER BY number LIMIT ?",
            (after, *(() if recipient is None else (recipient,)), limit),
        )
        return [
            {
                "number": row[0],
                "received": row[1],
                "mail_from": row[2],
                "recipients": json.loads(row[3]),
                "message_id": row[4],
                "subject": row[5],
                "to": row[6],
                "headers": json.loads(row[7]),
                "size": row[8],
            }
            for row in rows
        ]

    def content(self, number: int) -> bytes | None:
        """Return a message's bytes as received, None when there is no such number."""
        row = self.store.row("SELECT content FROM messages WHERE number = ?", (number,))
        return None if row is None else bytes(row[0])

    def summary(self) -> Json:
        """Return counts; `repeated_*` name what came more than once, with how often."""
        totals = self.store.row(
            "SELECT count(*), count(DISTINCT message_id), sum(message_id IS NULL) FROM messages"
        ) or (0, 0, 0)
        repeated_ids = self.store.rows(
            "SELECT message_id, count(*) FROM messages WHERE message_id IS NOT NULL"
            " GROUP BY 1 HAVING count(*) > 1"
        )
        repeated_texts = self.store.rows(
            "SELECT address, subject, count(*) FROM messages"
            " JOIN recipients ON message = number GROUP BY 1, 2 HAVING count(*) > 1"
        )
        per_recipient = self.store.rows("SELECT address, count(*) FROM recipients GROUP BY 1")
        return {
            "received": totals[0],
            "distinct_message_ids": totals[1],
            "without_message_id": totals[2] or 0,
            "repeated_message_ids": dict(repeated_ids),
            "repeated_recipient_and_subject": [
                {"recipient": address, "subject": subject, "count": count}
                for address, subject, count in repeated_texts
            ],
            "per_recipient": dict(per_recipient),
            "answers": dict(sorted(self.answers.items())),
        }

    def clear(self) -> None:
        """Forget messages, greylist and counters; switches stay."""
        for table in ("messages", "recipients", "greylist"):
            self.store.write(f"DELETE FROM {table}")  # noqa: S608 - constants
        self.answers.clear()

    def _book(self, rules: list[Json], seed: int) -> RuleBook:
        return RuleBook([Rule.from_json(rule, KINDS, "*") for rule in rules], seed)

    def _setting(self, name: str, default: Any) -> Any:
        row = self.store.row("SELECT value FROM settings WHERE name = ?", (name,))
        return default if row is None else json.loads(row[0])

    def _set(self, name: str, value: object) -> None:
        self.store.write("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, json.dumps(value)))

    def _write_memory(self) -> None:
        if self.book.changed:
            self.book.changed = False
            self._set("behaviour", self.behaviour())
        if (total := self.answers.total()) != self._answers_written:
            self._answers_written = total
            self._set("answers", self.answers)


def _decoded(value: object) -> str:
    """Return a header as a reader sees it, folded lines joined and encoded words decoded."""
    # UTF-8 in a header (SMTPUTF8) arrives here as surrogates, one for each byte.
    text = str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    text = text.replace("\r", "").replace("\n", "")
    if "=?" not in text:
        return text
    try:
        return str(make_header(decode_header(text)))
    except (LookupError, ValueError):
        return text
