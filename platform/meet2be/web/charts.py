"""Bar charts as plain SVG: where bars and lines stand, and the round values beside them.

The drawing is stretched to the room it has; its words stand beside it as text of the page, so that
they are as large as any other small text at every width. Bars below the zero line go back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720.0, 200.0
"""Of a drawing, in its own units."""
WIDEST = 36.0
MOST_STEPS = 5
ROUND = (1, 2, 5)
"""Steps between lines are one of these, times a power of ten."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, in the drawing's units; `words` say what it stands for."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    words: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line across the drawing at a round value; `is_zero` is the one that bars stand on."""

    y: float
    words: str
    is_zero: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing: its bars, its lines from the top, and the words below it from left to right."""

    bars: Sequence[Bar]
    lines: Sequence[Line]
    places: Sequence[str]


@dataclass(frozen=True, slots=True)
class Column:
    """What stands at one place: what goes up, what goes down, and the place in words."""

    place: str
    up: int
    down: int = 0


def step_for(span: int, least: int = 1) -> int:
    """Return the round step that divides a span into at most `MOST_STEPS`, no less than `least`.

    `least` is a power of ten: a whole unit of what is counted.
    """
    unit = least
    while True:
        for each in ROUND:
            if each * unit * MOST_STEPS >= span:
                return each * unit
        unit *= 10


def chart(
    columns: Sequence[Column],
    say: Callable[[int], str],
    labels: Sequence[str],
    least: int = 1,
) -> Chart | None:
    """Return the chart of columns, None where nothing stands in any.

    `say` puts a value into words, `labels` stand below, `least` is the smallest step of the lines.
    """
    highest = max((each.up for each in columns), default=0)
    lowest = max((each.down for each in columns), default=0)
    if highest <= 0 and lowest <= 0:
        return None
    step = step_for(max(highest, lowest), least)
    above, below = -(-highest // step), -(-lowest // step)
    unit = HEIGHT / (step * (above + below))
    floor = above * step * unit
    lines = [
        Line(round(floor - at * step * unit, 1), say(at * step), at == 0)
        for at in range(above, -below - 1, -1)
    ]
    return Chart(_bars(columns, say, floor, unit), lines, labels)


def _bars(
    columns: Sequence[Column], say: Callable[[int], str], floor: float, unit: float
) -> list[Bar]:
    room = WIDTH / len(columns)
    width = round(max(1.0, min(WIDEST, room * 0.78)), 1)
    bars = []
    for at, column in enumerate(columns):
        x = round(at * room + (room - width) / 2, 1)
        for kind, value in (("", column.up), ("back", column.down)):
            height = round(value * unit, 1)
            if value:
                y = round(floor - height, 1) if kind == "" else round(floor, 1)
                bars.append(Bar(x, y, width, height, kind, f"{column.place}: {say(value)}"))
    return bars
