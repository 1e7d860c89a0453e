"""The figures of what the office did."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class OfficeVerdict:
    """The figures of the office's work, taken from the files and from the partner."""

    rows: dict[str, int] = field(default_factory=dict)
    pages_of_pdf: int = 0
    imported: int = 0
    left_out: int = 0
    webhooks: dict[str, int] = field(default_factory=dict)
    webhooks_refused: int = 0
    webhooks_repeated: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
