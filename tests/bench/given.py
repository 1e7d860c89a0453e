"""What a process of the benchmark is told: a file in its working directory.

The systems' own commands import an application and hand it nothing, so it reads this.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.ledger import Ledger

NAME = "bench.json"


@dataclass(frozen=True)
class Given:
    """The broker's socket, the ledger, and what this variant of a system is to be set to."""

    socket: str
    ledger: str
    jobs: int
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The broker's address as most clients want it."""
        return f"unix://{self.socket}?db=0"

    def open_ledger(self) -> Ledger:
        """Return the ledger of this run."""
        return Ledger(Path(self.ledger), self.jobs)

    def write(self, directory: Path) -> None:
        """Leave it where the processes begin."""
        (directory / NAME).write_text(json.dumps(asdict(self)))


def read_given() -> Given:
    """Return what the benchmark left in the working directory."""
    return Given(**json.loads(Path(NAME).read_text()))
