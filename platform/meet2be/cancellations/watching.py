"""What pages that poll are shown of a run: one count of a large run serves all who watch it.

Only the moving part of a page is given from memory. It says how far it has been shown already, so
that a process whose count is older counts anew: nobody sees a run go backwards.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from meet2be.cancellations.models import CancelRun
from meet2be.cancellations.progress import Progress, progress_of

# Below this a count takes less than the page around it.
LARGE = 5_000
# A count takes about a quarter of a second for a million items: 1 to 2 % of what it is kept for.
ITEMS_A_SECOND = 50_000
SHORTEST, LONGEST = timedelta(seconds=1), timedelta(seconds=10)
MOST_RUNS = 64


@dataclass(slots=True)
class _Kept:
    """The last count of one run, and when and in which standing of the run it was made."""

    progress: Progress
    standing: tuple[Any, ...]
    at: datetime
    lock: threading.Lock = field(default_factory=threading.Lock)

    def serves(self, standing: tuple[Any, ...], now: datetime, seen: int) -> bool:
        """Tell whether it can be shown to somebody who has seen that many steps."""
        lasts = timedelta(seconds=self.progress.total / ITEMS_A_SECOND)
        is_young = now - self.at < min(max(lasts, SHORTEST), LONGEST)
        return is_young and self.standing == standing and self.progress.steps >= seen


_kept: dict[str, _Kept] = {}
_kept_lock = threading.Lock()


def shown_progress(session: Session, run: CancelRun, now: datetime, seen: int = 0) -> Progress:
    """Return how far the run is, at most ten seconds ago and never behind ``seen`` steps."""
    with _kept_lock:
        kept = _kept.get(run.uid)
    standing = _standing(run)
    if kept is None:
        progress = progress_of(session, run, now)
        if progress.total >= LARGE:
            _keep(run.uid, _Kept(progress, standing, now))
        return progress
    with kept.lock:  # others who watch wait for this count instead of making their own
        if not kept.serves(standing, now, seen):
            kept.progress = progress_of(session, run, now)
            kept.standing, kept.at = standing, now
        return kept.progress


def _keep(uid: str, kept: _Kept) -> None:
    with _kept_lock:
        while len(_kept) >= MOST_RUNS:
            del _kept[next(iter(_kept))]
        _kept[uid] = kept


def _standing(run: CancelRun) -> tuple[Any, ...]:
    return (
        run.state, run.pause_code, run.pause_reason, run.resume_at, run.started_at,
        run.finished_at, run.preparation is None,
    )  # fmt: skip
