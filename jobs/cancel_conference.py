"""Work on one lane of a cancel run."""

from dataclasses import dataclass
from typing import Any

from meet2be.cancellations.context import Desk
from meet2be.cancellations.errors import LaneLost
from meet2be.cancellations.runner import work_lane
from meet2be.cancellations.services import halt_tx
from meet2be.queueing import tenant_of
from onqueue import Job
from onqueue.contracts import Clock


class CancelConference(Job):
    """Refunds, cancels and mails a slice of the lane, then lets others have a turn."""

    connection = "redis-cancellations"
    queue = "cancellations"
    timeout = 18_000
    durable = True
    tries = 0
    max_exceptions = 25
    backoff = (2, 5, 15, 60)

    run: str
    lane: int

    def handle(self, desk: Desk) -> None:
        """Work one slice; a lane that another worker has taken over is left to it."""
        control = _Control(self, desk.clock)
        try:
            result = work_lane(desk, tenant_of(self) or 0, self.run, self.lane, control)
        except LaneLost:
            self.ensure_lease()  # a worker that slept past its lease ends nothing
            return
        if result.again_after is not None:
            self.snooze(result.again_after)

    def failed(self, error: BaseException) -> None:
        """Pause the run, so that a person sees it, and have what was sent followed to its end."""
        desk = self.running("failed").service(Desk)
        why = f"A worker gave up: {error}"
        is_second = isinstance(self, FollowLane)
        halt_tx(desk, tenant_of(self) or 0, self.run, self.lane, why, is_second=is_second)


class FollowLane(CancelConference):
    """In the place of one that gave up: follows what that had sent, or closes an aborted run.

    Once the run is resumed it works on the lane like any other. A job of its own kind, so that
    workers of an earlier release leave it to others.
    """


@dataclass(frozen=True, slots=True)
class _Control:
    """The running job, as the lane's work sees it."""

    job: Any
    clock: Clock

    @property
    def job_id(self) -> str:
        return str(self.job.job_id)

    def should_stop(self) -> bool:
        return bool(self.job.should_stop or self.job.cancelled)

    def ensure_lease(self) -> None:
        self.job.ensure_lease()
