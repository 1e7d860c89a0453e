"""What happens with notices, in the past tense; jobs are hung onto these."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NoticesWritten:
    """People got notices of one cause: it is brought to them by mail, too, and to channels."""

    tenant_id: int
    dedupe_key: str
