"""What the steps of an import work with."""

from __future__ import annotations

from dataclasses import dataclass

from meet2be.db import Database
from meet2be.integrations.storage import Store
from onqueue.contracts import Clock


@dataclass(frozen=True, slots=True)
class ImportDesk:
    """The database, the store of uploaded files, and the clock."""

    database: Database
    store: Store
    clock: Clock
