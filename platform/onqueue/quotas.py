"""What a job may have to wait for, and pauses: as limits and operators hand them to a driver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onqueue.contracts import JobId

QuotaKind: TypeAlias = Literal["rate", "moving", "slots", "faults", "pause"]
PauseKind: TypeAlias = Literal["connection", "queue", "job", "tenant", "maintenance"]


@dataclass(slots=True, frozen=True)
class Quota:
    """One thing a job must be let through by; the same `kind` and `key` are one for all jobs.

    "rate": `most` in a window of `span` seconds that begins with the first of them. "moving":
    `most` in any `span` seconds, wherever they begin. "slots": `most`
    at once; a slot ends with the lease of the job that has it. "faults": closed for the rest of a
    window in which `most` faults were counted. "pause": closed while such a pause lasts; its key
    is `pause_key`.
    """

    kind: QuotaKind
    key: str
    most: int = 1
    span: float = 0.0


@dataclass(slots=True, frozen=True)
class Spent:
    """What is used of a rate's present window, and the seconds until some of that comes back.

    A window comes back as a whole, the places of a moving one each on its own. Without a window,
    before its first job and after its end, nothing is used and nothing comes back (None).
    """

    count: int
    opens_in: float | None = None


@dataclass(slots=True, frozen=True)
class Pause:
    """What hands out no jobs: `name` is a queue, a job's wire name or a tenant.

    It is "" for the whole connection, and for its maintenance. `until` is seconds since the
    epoch, None: it has no end.
    """

    kind: PauseKind
    name: str = ""
    reason: str = ""
    until: float | None = None


def pause_key(kind: PauseKind, name: str) -> str:
    """Return the key of the quota that stands for a pause of a job class or a tenant."""
    return f"{kind[0]}:{name}"


@runtime_checkable
class PausesWork(Protocol):
    """A connection that can pause job classes and tenants, too: "limits"."""

    def pause_work(self, pause: Pause) -> bool:
        """Begin a pause, or change the one of the same kind and name; False when it changed."""
        ...

    def resume_work(self, kind: PauseKind, name: str) -> bool:
        """End a pause and bring back who waits for that; False when there was none."""
        ...

    def pauses(self) -> list[Pause]:
        """Return what is paused, sorted."""
        ...


class Limits(Protocol):
    """The quotas of a connection, asked for its running jobs. May raise `LeaseLost`."""

    def admit(self, quotas: Sequence[Quota], owner: JobId, queue: str) -> float | None:
        """Use all quotas or none; None when the job, which came from `queue`, may go on.

        Else the seconds until that may be different, infinite when nobody knows. A job that the
        driver brought back from waiting for these quotas goes on with what it was given then.
        """
        ...

    def free(self, quotas: Sequence[Quota], owner: JobId) -> None:
        """Give the job's slots back and wake who waits for them."""
        ...

    def free_at_end(self, quotas: Sequence[Quota], owner: JobId) -> None:
        """Do the same for a job whose run ends now, at the latest before another one begins."""
        ...

    def take_each(self, quotas: Sequence[Quota]) -> list[float | None]:
        """Use each of many rates on its own, past those who wait for them.

        None for each that was used; for those that are used up the seconds until they open.
        """
        ...

    def hit(self, quota: Quota) -> None:
        """Count a fault, or, of a rate, a start that need not wait."""
        ...

    def clear(self, quota: Quota) -> None:
        """Forget all faults."""
        ...
