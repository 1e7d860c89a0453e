"""What a row found, beside what it must show, as text and as JSON. No figure fails a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import mean, median
from typing import Any


@dataclass(frozen=True)
class Verdict:
    """A figure and its bound: at least `need`, or at most when `is_ceiling`."""

    what: str
    figure: float
    need: float
    shown: str
    must: str
    is_ceiling: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the figure keeps within its bound."""
        return self.figure <= self.need if self.is_ceiling else self.figure >= self.need

    @property
    def text(self) -> str:
        """Say "met", or by how much it was missed."""
        if self.is_met:
            return "met"
        off = self.figure / self.need - 1 if self.is_ceiling else 1 - self.figure / self.need
        return f"missed by {off:.0%}"


@dataclass(frozen=True)
class Table:
    """Figures behind a verdict."""

    title: str
    head: tuple[str, ...]
    lines: Sequence[tuple[str, ...]]

    def markdown(self) -> str:
        """Return it as Markdown."""
        return f"### {self.title}\n\n{grid(self.head, self.lines)}"


@dataclass
class Outcome:
    """All that a row found. `faults` tells of jobs lost or run twice and of what broke."""

    row: str
    verdicts: list[Verdict] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return what the JSON report holds of it."""
        verdicts = [
            {**asdict(verdict), "met": verdict.is_met, "verdict": verdict.text}
            for verdict in self.verdicts
        ]
        tables = [asdict(table) for table in self.tables]
        return {"row": self.row, "verdicts": verdicts, "tables": tables, "faults": self.faults}


def grid(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    rows = [head, ["---"] * len(head), *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def verdict_grid(outcomes: Iterable[Outcome]) -> str:
    """Return the table of all verdicts."""
    found = [verdict for outcome in outcomes for verdict in outcome.verdicts]
    lines = [(one.what, one.shown, one.must, one.text) for one in found]
    return grid(("what", "measured", "must be", "verdict"), lines)


def ratio_of(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of the ratios round by round, so that a slow minute hits both sides."""
    return median(own / other for own, other in zip(ours, theirs, strict=True))


def ratio_of_turns(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> float:
    """Return the ratio of two sides that took turns: one list a round, of a figure for each turn.

    Turns are compared with their neighbours, so that a slow minute of the machine hits both. Of
    each turn the median over the rounds counts, and of these the mean: the last jobs may cost more
    than the first ones, and none are left out.
    """
    return mean(
        ratio_of(own, others) for own, others in zip(_by_turn(ours), _by_turn(theirs), strict=True)
    )


def _by_turn(rounds: Sequence[Sequence[float]]) -> list[tuple[float, ...]]:
    return list(zip(*rounds, strict=True))


def at_rank(values: Sequence[float], share: float) -> float:
    """Return the value below which that share of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
