"""Where the bars and lines of a chart stand."""

import pytest

from meet2be.web.charts import HEIGHT, Column, chart, step_for


@pytest.mark.parametrize(
    ("span", "least", "step"),
    [(1, 1, 1), (5, 1, 1), (6, 1, 2), (117, 1, 50), (100, 1, 20), (6_973_500, 100, 2_000_000),
     (30, 100, 100)],
)  # fmt: skip
def test_lines_stand_at_round_values(span: int, least: int, step: int) -> None:
    assert step_for(span, least) == step


def test_the_highest_bar_stays_below_the_highest_line() -> None:
    made = chart([Column("Monday", 117), Column("Tuesday", 0)], str, ["Monday", "Tuesday"])

    assert made is not None
    assert [line.words for line in made.lines] == ["150", "100", "50", "0"]
    (bar,) = made.bars
    assert bar.words == "Monday: 117"
    assert bar.height == pytest.approx(HEIGHT * 117 / 150)
    assert bar.y + bar.height == pytest.approx(HEIGHT)


def test_what_goes_back_hangs_below_the_zero_line() -> None:
    made = chart([Column("Monday", 40, 20)], str, ["Monday"])

    assert made is not None
    (zero,) = (line for line in made.lines if line.is_zero)
    up, down = made.bars
    assert (up.kind, down.kind) == ("", "back")
    assert down.y == pytest.approx(zero.y)
    assert up.y + up.height == pytest.approx(zero.y)
    assert made.lines[-1].words == "-20"


def test_nothing_has_no_chart() -> None:
    assert chart([], str, []) is None
    assert chart([Column("Monday", 0)], str, ["Monday"]) is None
