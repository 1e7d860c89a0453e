"""How many webhooks have caused each other, as a header that only we can write.

A program that answers a webhook by calling our API sends the header along. What it says hides
changes from an organisation's endpoints once it is large, so it counts only with our own signature,
for the organisation it was sent to, and for an hour: whoever keeps one cannot hide with it for
longer, and a loop that rests for an hour in each round is none that anybody has to stop.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from meet2be.webhooks.vault import Vault

GOOD_FOR: Final = timedelta(hours=1)
_STEP: Final = 60
"""Seconds that share a signature, so that it is made once for many deliveries."""
_FORM: Final = re.compile(r"([0-9]{1,3})\.([0-9]{1,12})\.([A-Za-z0-9_-]{22})")


class Depths:
    """Writes and reads the header's value; safe to be used by many threads."""

    def __init__(self, vault: Vault) -> None:
        """Sign with the vault's keys."""
        self._vault = vault
        self._made = lru_cache(maxsize=4096)(self._make)

    def told(self, tenant_id: int, depth: int, now: datetime) -> str:
        """Return what a delivery of this depth, which counts itself, bears."""
        return self._made(tenant_id, depth, int(now.timestamp()) // _STEP)

    def read(self, text: str, tenant_id: int, now: datetime) -> int:
        """Return the depth that we have told this tenant lately; 0 for all other texts."""
        found = _FORM.fullmatch(text.strip())
        if found is None:
            return 0
        depth, step, signature = int(found[1]), int(found[2]), found[3]
        age = int(now.timestamp()) // _STEP - step
        # A clock of another machine of ours may go a little fast.
        if not -1 <= age <= GOOD_FOR.total_seconds() // _STEP:
            return 0
        return depth if self._vault.has_signed(_signed(tenant_id, depth, step), signature) else 0

    def _make(self, tenant_id: int, depth: int, step: int) -> str:
        return f"{depth}.{step}.{self._vault.sign(_signed(tenant_id, depth, step))}"


def _signed(tenant_id: int, depth: int, step: int) -> str:
    return f"depth:{tenant_id}:{depth}:{step}"
