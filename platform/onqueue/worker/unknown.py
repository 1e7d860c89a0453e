"""Where a job waits that only another deploy can run, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onqueue.errors import KeyGone, NewerPayload, UpcasterMissing

if TYPE_CHECKING:
    from onqueue.errors import OnQueueError

UNKNOWN = "unknown:"
"""What the parking place of jobs that this code does not know begins with."""

REASON = " | "
"""What parts such a job's name from the reason, where it is not simply unknown."""


def waiting_place(job: str, error: OnQueueError) -> str:
    """Return where a job waits for another deploy: by its name, with the reason behind a bar."""
    match error:
        case UpcasterMissing():
            why = f"version {error.version}, nothing leads to {error.step + 1}"
        case NewerPayload():
            why = f"version {error.version}, known is {error.known}"
        case KeyGone():
            why = f"app key {error.key_id} is gone"
        case _:
            return UNKNOWN + job
    return f"{UNKNOWN}{job}{REASON}{why}"
