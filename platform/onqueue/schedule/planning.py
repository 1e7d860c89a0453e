"""Which ticks are due, and what is to become of each: decided here, done elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from onqueue.schedule.cadence import Cadence

CatchUpMode: TypeAlias = Literal["skip", "last", "all"]
Overlap: TypeAlias = Literal["allow", "skip", "queue"]

LATE = 60_000
"""Milliseconds after which a tick counts as missed: above what a change of the leader takes."""

MOST = 500
"""Ticks looked at in one go; whoever was away for longer comes back for the rest."""


@dataclass(frozen=True, slots=True)
class CatchUp:
    """What becomes of missed ticks: none is run, the last one, or all.

    `within` bounds it: what is older, in milliseconds, is not run any more; 0 is no bound.
    """

    mode: CatchUpMode = "skip"
    within: int = 0


@dataclass(frozen=True, slots=True)
class Due:
    """A tick that is due, and why it is not to be run; "" when it is."""

    tick: int
    skip: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Ticks in order; `more` when there are others behind them."""

    ticks: list[Due]
    more: bool = False


def plan(cadence: Cadence, catch_up: CatchUp, last: int, now: int) -> Plan:
    """Return what is due after the last settled tick and until now (milliseconds).

    What is no later than `LATE` always runs: a process that takes over from a dead leader is to do
    what that one would have done.
    """
    found: list[int] = []
    tick = cadence.after(last)
    while tick is not None and tick <= now and len(found) < MOST:
        found.append(tick)
        tick = cadence.after(tick)
    more = tick is not None and tick <= now
    newest = found[-1] if found and not more else None
    return Plan([Due(tick, _reason(tick, newest, catch_up, now)) for tick in found], more)


def _reason(tick: int, newest: int | None, catch_up: CatchUp, now: int) -> str:
    late = now - tick
    if late <= LATE:
        return ""
    if catch_up.mode == "skip":
        return f"missed by {_span(late)}"
    if catch_up.within and late > catch_up.within:
        return f"missed by {_span(late)}, too old to be caught up"
    if catch_up.mode == "last" and tick != newest:
        return "missed, and a later tick is due"
    return ""


def _span(milliseconds: int) -> str:
    seconds = milliseconds // 1000
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
