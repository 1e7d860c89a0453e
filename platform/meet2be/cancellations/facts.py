"""What happens in a cancellation, in the past tense; jobs are hung onto these."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LanesReady:
    """Lanes of a run wait for a worker: one `CancelConference` job each.

    `instead`: of one whose job gave up, and what that had sent is to be followed.
    """

    tenant_id: int
    run_uid: str
    lanes: tuple[int, ...]
    instead: bool = False


@dataclass(frozen=True, slots=True)
class CancellationFinished:
    """A run has come to its end: 'done', 'done_with_errors' or 'aborted'."""

    tenant_id: int
    run_uid: str
    state: str
