"""Dispatching one by one and in bulk against bare redis-py, with and without its fast parser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from statistics import median

from bench.report import Outcome, Table, Verdict, ratio_of
from bench.stage import Stage
from bench.systems import ONQUEUE

_ROWS = (
    ("one", "dispatch, one by one, against an `LPUSH` loop", 0.7),
    ("many", "`dispatch_many` against pipelined `LPUSH`, 100 a pipeline", 0.4),
)


def measure(stage: Stage) -> Outcome:
    """Measure with hiredis, which counts, and without, which is shown."""
    blocks = 5 if stage.effort.is_quick else 10 * stage.effort.rounds
    fast, plain = _figures(stage, blocks), _figures(stage, blocks, "--pure")
    head = ("what", "bare", "onqueue", "ratio")
    lines = [
        (f"{what}{note}", *cells)
        for note, figures in ((", hiredis", fast), (", no hiredis", plain))
        for what, *cells in _lines(figures)
    ]
    return Outcome(
        "dispatching",
        [_verdict(what, fast[key], need) for key, what, need in _ROWS],
        [Table("Dispatching, microseconds a job", head, lines)],
    )


def _figures(stage: Stage, blocks: int, *more: str) -> dict[str, list[list[float]]]:
    with stage.run(ONQUEUE, 1) as run:
        results = run.place.directory / "results.json"
        run.place.python("bench.pushing", "--blocks", str(blocks), "--to", str(results), *more)
        figures: dict[str, list[list[float]]] = json.loads(results.read_text())
    return figures


def _sides(pairs: list[list[float]]) -> tuple[list[float], list[float]]:
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _verdict(what: str, pairs: list[list[float]], need: float) -> Verdict:
    bare, ours = _sides(pairs)
    ratio = ratio_of(bare, ours)
    shown = f"{ratio:.2f} × ({1 / median(ours):,.0f} against {1 / median(bare):,.0f} jobs/s)"
    return Verdict(what, ratio, need, shown, f"≥ {need:g} ×")


def _lines(figures: dict[str, list[list[float]]]) -> Iterator[tuple[str, str, str, str]]:
    for key, what, _ in _ROWS:
        bare, ours = _sides(figures[key])
        cells = (f"{median(bare) * 1e6:.1f}", f"{median(ours) * 1e6:.1f}")
        yield (what, *cells, f"{ratio_of(bare, ours):.2f} ×")
