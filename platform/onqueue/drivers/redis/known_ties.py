"""What a consumer knows of its jobs' ties, so that the server need not look for them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onqueue.drivers.redis.ties import is_batch, is_lane

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from onqueue.contracts import JobId, ReservedJob

UNKNOWN: Final = ""
"""Nobody knows: each is to be looked up."""

LOOSE: Final = "-"
"""Each lies in a lane, or hangs on nothing: its end changes nothing else."""


class KnownTies:
    """Remembers, of what was handed out and has not ended, what more than a lane hangs on."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._bound: dict[JobId, str] = {}

    def came(self, jobs: Sequence[ReservedJob]) -> None:
        """Remember what came."""
        loose = ""
        for job in jobs:
            tie = job.tie
            if tie is loose:  # most ties of a trip are one and the same text
                continue
            if is_lane(tie):
                loose = tie
            else:
                self._bound[job.id] = tie

    def of(self, done: Sequence[JobId]) -> str:
        """Return the tie that all these jobs have, which were handed out; `LOOSE` or `UNKNOWN`."""
        bound = self._bound
        if not bound:
            return LOOSE
        ties = {bound.get(job_id, LOOSE) for job_id in done}
        if len(ties) != 1:
            return UNKNOWN
        [tie] = ties
        return tie if tie == LOOSE or is_batch(tie) else UNKNOWN

    def went(self, ids: Iterable[JobId]) -> None:
        """Forget what ended or went back."""
        if self._bound:
            for job_id in ids:
                self._bound.pop(job_id, None)
