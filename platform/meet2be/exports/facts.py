"""What happens with exports, in the past tense; jobs are hung onto these."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExportRequested:
    """An export waits for a worker."""

    tenant_id: int
    export_uid: str
