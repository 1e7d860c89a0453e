"""Claims, chains and batches, as the dispatch side hands them to a driver and asks after them.

A job's *tie* is what hangs on it besides its payload: a driver keeps it beside the payload, so that
every removal of the job, by whatever road, frees its claim, counts in its batch and moves its chain
in the same step. Times are seconds unless said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from onqueue.contracts import JobId, Message

ChainId: TypeAlias = str
BatchId: TypeAlias = str
"""32 hexadecimal digits, as of a job."""

OnConflict: TypeAlias = Literal["drop", "raise", "replace", "keep_last", "refuse"]
OnSkip: TypeAlias = Literal["continue", "stop"]

Ending: TypeAlias = Literal["succeeded", "skipped", "expired", "cancelled"]
"""How a job ends that did not fail: the first three let its chain go on, "cancelled" breaks it."""

CallbackKind: TypeAlias = Literal["before", "progress", "then", "catch", "finally"]

DEFAULT_LIFETIME = 86_400.0
"""Seconds after which a claim lapses at the latest when nothing else was said."""


# ---- ties ----


@dataclass(slots=True, frozen=True)
class Claim:
    """A unique job's lock, taken in the step that stores the job and freed in the one that ends it.

    `key` is any text, usually "<job name>:<unique id>". With `until_processing` the job gives it
    back right before it runs. "raise" is for the dispatcher: a driver treats it as "drop".
    "refuse" is for a retry: a loser leaves no trace, its batch and chain hear nothing, and a push
    of its token is not remembered.
    """

    key: str
    lifetime: float = DEFAULT_LIFETIME
    on_conflict: OnConflict = "drop"
    until_processing: bool = False


@dataclass(slots=True, frozen=True)
class Tie:
    """What hangs on a job; `fair` is the key of its lane, `weight` that lane's share.

    `about` is the job or batch whose end called a callback; a driver sets it.
    """

    fair: str = ""
    weight: int = 1
    claim: Claim | None = None
    batch: BatchId = ""
    chain: ChainId = ""
    about: str = ""


@dataclass(slots=True, frozen=True)
class ClaimState:
    """A claim that stands. `successor` runs when the owner has ended; an orphan has no owner."""

    key: str
    owner: JobId
    expires_at: datetime
    orphaned: bool = False
    successor: JobId = ""


# ---- chains ----


@dataclass(slots=True, frozen=True)
class ChainPlan:
    """Jobs to run one after the other; `catch` is pushed when a link fails or is cancelled.

    Messages need no tie to the chain or to a batch: the driver adds it. A plan with a `token` is
    started at most once under it, by whatever process.
    """

    id: ChainId
    links: Sequence[Message | BatchPlan]
    catch: Sequence[Message] = ()
    name: str = ""
    on_skip: OnSkip = "continue"
    token: str = ""


@dataclass(slots=True, frozen=True)
class ChainEdit:
    """What a link adds to its chain when it ends well: before and after the links that wait."""

    prepend: Sequence[Message | BatchPlan] = ()
    append: Sequence[Message | BatchPlan] = ()


@dataclass(slots=True, frozen=True)
class ChainState:
    """A chain as it stands; `current` is the link that runs or that broke it, a job or a batch.

    "moving" is a chain whose next link belongs to another connection, to which a carrier takes it.
    """

    id: ChainId
    name: str
    state: Literal["running", "broken", "finished", "moving"]
    total: int
    done: int
    current: str
    waiting: tuple[str, ...] = ()


# ---- batches ----


@dataclass(slots=True, frozen=True)
class BatchPlan:
    """Jobs to run in any order; members of a chain run in its order, and each of them counts.

    `callbacks` are pushed when their moment comes, each at most once but "progress": that is pushed
    anew for each member that ended, under an id made from its own, the member's and a count.
    As a link of a chain the batch may belong to another `connection`, with all its members.
    """

    id: BatchId
    name: str
    members: Sequence[Message | ChainPlan]
    created_at: datetime
    allow_failures: bool = False
    callbacks: Mapping[CallbackKind, Sequence[Message]] = field(default_factory=dict)
    context: Mapping[str, str] = field(default_factory=dict)
    connection: str = ""


@dataclass(slots=True, frozen=True)
class BatchState:
    """A batch as it stands. `broken` are links that never ran as one before them did not end well.

    `failed` goes down when a failed member is retried. `loading` tells that some members are not
    in their queues yet.
    """

    id: BatchId
    name: str
    total: int
    pending: int
    succeeded: int
    failed: int
    skipped: int
    cancelled: int
    broken: int
    allow_failures: bool
    created_at: datetime
    cancelled_at: datetime | None = None
    finished_at: datetime | None = None
    loading: bool = False
    context: Mapping[str, str] = field(default_factory=dict)

    @property
    def processed(self) -> int:
        """How many members have ended, however."""
        return self.total - self.pending

    @property
    def progress(self) -> int:
        """Percent of the members that have ended; 100 only when the batch has."""
        if self.finished_at is not None:
            return 100
        return min(99, 100 * self.processed // self.total) if self.total else 0
