"""What a schedule's store and the scheduler owe each other.

A *tick* is the instant at which an entry of a schedule is due, in whole milliseconds since the
epoch; entry and tick together are its identity. Each tick is *settled* exactly once, by the one
process that leads.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onqueue.contracts import JobId, Message

KEPT_RECORDS = 200
"""How many settled ticks of one entry the history holds."""

TickOutcome: TypeAlias = Literal["ran", "skipped", "failed"]
"""`ran`: its job was pushed; `failed`: no job could be made; `skipped`: `why` says why."""


def instant(milliseconds: int) -> datetime:
    """Return milliseconds since the epoch as an aware UTC datetime."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


class Settled(IntEnum):
    """What a store answers to `settle`."""

    LOST = -1
    """Another process leads: nothing was changed."""
    BEFORE = 0
    """It was settled before: nothing was changed."""
    DONE = 1


@dataclass(slots=True, frozen=True)
class Term:
    """Who leads, and until when.

    `now` is the store's time in milliseconds, `left` the seconds of the lease; a process that does
    not lead has to wait for them. `name` is the leader's, "" when there is none.
    """

    leads: bool
    now: int
    left: float
    name: str


@dataclass(slots=True, frozen=True)
class TickRecord:
    """One line of an entry's history; times are milliseconds.

    `tick` is when it was due (the order's time when somebody asked for the run), `at` when it was
    settled. Of many ticks skipped at once the first and the last (`until`) are told, and `count`.
    """

    entry: str
    tick: int
    at: int
    outcome: TickOutcome
    why: str = ""
    job: JobId = ""
    by: str = ""
    until: int = 0
    count: int = 1

    def to_json(self) -> str:
        """Return what the store keeps."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> TickRecord:
        """Return what `to_json` wrote; fields of newer versions are left out."""
        values = json.loads(text)
        return cls(**{name: values[name] for name in cls.__slots__ if name in values})


@dataclass(slots=True, frozen=True)
class OpenTick:
    """A tick whose job is being pushed where the store's script cannot push it."""

    tick: int
    job: JobId
    why: str = ""

    def to_json(self) -> str:
        """Return what the store keeps."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> OpenTick:
        """Return what `to_json` wrote."""
        return cls(**json.loads(text))


@dataclass(slots=True, frozen=True)
class EntryState:
    """What the store knows of one entry.

    `last` is the newest tick that was settled (None: the entry is new), `job` the newest job with
    its `connection`, `held` a tick that waits for that job's end, `opened` one being pushed.
    """

    last: int | None = None
    job: JobId = ""
    connection: str = ""
    held: int | None = None
    opened: OpenTick | None = None


@dataclass(slots=True, frozen=True)
class Pause:
    """Why an entry (or all) does not run, and until when (milliseconds; 0: until resumed)."""

    reason: str = ""
    until: int = 0


@dataclass(slots=True, frozen=True)
class RunOrder:
    """Somebody's wish to run an entry now; `at` is when, in milliseconds."""

    id: str
    entry: str
    at: int


@dataclass(slots=True, frozen=True)
class ScheduleState:
    """All a leader needs to know; pauses that are over are left out, "" is that of all entries."""

    entries: Mapping[str, EntryState]
    pauses: Mapping[str, Pause]
    orders: Sequence[RunOrder]


@dataclass(slots=True, frozen=True)
class Guard:
    """What must still be so for a settlement to count, and what it uses up.

    "last": no tick as new as `value` was settled. "held", "opened": the entry's field still holds
    it. "order": the order of that id is still there.
    """

    kind: Literal["last", "held", "opened", "order"]
    value: str


@dataclass(slots=True, frozen=True)
class Settlement:
    """A change of one entry, all of it or nothing.

    `held` and `opened` are what it will hold from now on; `ran` (connection, id) is its newest
    job, `message` that job where the store is to push it, with the id and the queue in it.
    """

    entry: str
    guard: Guard
    records: Sequence[TickRecord] = ()
    held: int | None = None
    opened: OpenTick | None = None
    ran: tuple[str, JobId] | None = None
    message: Message | None = field(default=None, repr=False)


class ScheduleStore(Protocol):
    """Keeps a schedule's ticks. Every method may raise `BrokerUnavailable`."""

    def lead(self, token: str, lease: float, name: str) -> Term:
        """Take or renew the leadership for so many seconds, unless another process has it."""
        ...

    def resign(self, token: str) -> None:
        """Give the leadership up and wake a process that waits for it."""
        ...

    def term(self) -> Term:
        """Return who leads, taking nothing; `leads` is False."""
        ...

    def look(self, entries: Sequence[str]) -> ScheduleState:
        """Return what is known of these entries, and all pauses and orders."""
        ...

    def settle(self, token: str, settlement: Settlement) -> Settled:
        """Make the change if `token` leads and the guard holds."""
        ...

    def order(self, entry: str) -> str:
        """Ask the leader for a run now; return the order's id."""
        ...

    def pause(self, entry: str | None, reason: str = "", until: float | None = None) -> None:
        """Let ticks of one entry or (None) of all be skipped; `until` is epoch seconds."""
        ...

    def resume(self, entry: str | None) -> bool:
        """Undo `pause` for the same entry or (None) for all; False when it was not paused."""
        ...

    def history(self, entry: str, limit: int) -> list[TickRecord]:
        """Return an entry's newest records, the newest first."""
        ...

    def known(self) -> list[str]:
        """Return the names of all entries that ever had a tick, sorted."""
        ...

    def prune(self, older_than: float, keep: Sequence[str]) -> int:
        """Delete records older than so many seconds; return how many.

        Entries not in `keep` whose newest tick is as old are forgotten.
        """
        ...

    def wait(self, timeout: float, wakeup_fd: int, *, leads: bool) -> None:
        """Block until a leader is wanted (`leads`: there are news for it).

        Returns also when `wakeup_fd` is readable or so many seconds are over.
        """
        ...

    def close(self) -> None:
        """Give back sockets."""
        ...
