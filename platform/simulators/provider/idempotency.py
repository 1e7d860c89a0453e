"""Idempotency keys as Stripe's API v1 documents them.

The first answer for a key is stored for 24 hours together with its effect and replayed, errors
and failures included. Answers given before a call is carried out are not stored.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from simulators.provider.errors import StripeError

if TYPE_CHECKING:
    from simulators.provider.calls import Answer
    from simulators.provider.ledger import Ledger
    from simulators.provider.shapes import Json

KEPT_SECONDS = 24 * 3600
MAX_KEY = 255


def fingerprint(method: str, path: str, form: Json) -> str:
    """Return what must be the same for a key to be used again."""
    text = f"{method} {path} {json.dumps(form, sort_keys=True)}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class IdempotencyKeys:
    """The keys of one ledger; those of calls under way are known to this process alone."""

    def __init__(self, ledger: Ledger) -> None:
        """Keep the keys in `ledger`."""
        self._ledger = ledger
        self._under_way: set[tuple[str, str]] = set()

    def replay(self, account: str, key: str, mark: str) -> tuple[int, str, str] | None:
        """Return the stored status, body and request id, or None for a key that is new.

        Raises a 409 for a key whose call is under way, a 400 for one with other parameters.
        """
        if len(key) > MAX_KEY:
            message = f"An idempotency key has at most {MAX_KEY} characters, not {len(key)}."
            raise StripeError(message, kind="idempotency_error")
        if (account, key) in self._under_way:
            self._ledger.calls["idempotency.conflict"] += 1
            message = f"Another request with the idempotency key '{key}' is still in progress."
            raise StripeError(
                message, status=409, kind="idempotency_error", code="idempotency_key_in_use"
            )
        row = self._ledger.store.row(
            "SELECT fingerprint, status, body, request_id FROM idempotency_keys"
            " WHERE account = ? AND key = ? AND created > ?",
            (account, key, self._ledger.clock.now() - KEPT_SECONDS),
        )
        if row is None:
            return None
        if row[0] != mark:
            self._ledger.calls["idempotency.mismatch"] += 1
            message = (
                f"The idempotency key '{key}' was first used with other parameters or on another"
                " endpoint; use another key for another request."
            )
            raise StripeError(message, kind="idempotency_error")
        self._ledger.calls["idempotency.replay"] += 1
        return row[1], row[2], row[3]

    def begin(self, account: str, key: str) -> None:
        """Mark the key's call as under way."""
        self._under_way.add((account, key))

    def end(self, account: str, key: str) -> None:
        """Take the mark away."""
        self._under_way.discard((account, key))

    def keep(self, account: str, key: str, mark: str, request_id: str, answer: Answer) -> None:
        """Store the answer; it is committed together with the call's effect."""
        self._ledger.store.write(
            "INSERT OR REPLACE INTO idempotency_keys VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                account,
                key,
                mark,
                request_id,
                answer.status,
                answer.body,
                self._ledger.clock.now(),
            ),
        )
