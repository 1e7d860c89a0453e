"""What the benchmark concludes from figures; no speed is measured here."""

import pytest

from bench.report import Outcome, Verdict, at_rank, ratio_of, ratio_of_turns, verdict_grid


def verdict(figure: float, *, is_ceiling: bool = False) -> Verdict:
    return Verdict("a thing", figure, 2.0, "shown", "must", is_ceiling)


def test_a_figure_on_its_bound_is_met() -> None:
    assert verdict(2.0).text == "met"
    assert verdict(2.0, is_ceiling=True).text == "met"


@pytest.mark.parametrize(
    ("figure", "is_ceiling", "text"),
    [(1.5, False, "missed by 25%"), (3.0, True, "missed by 50%")],
)
def test_a_missed_bound_says_by_how_much(figure: float, is_ceiling: bool, text: str) -> None:
    assert verdict(figure, is_ceiling=is_ceiling).text == text


def test_ratios_are_taken_round_by_round_so_that_a_slow_round_counts_once() -> None:
    assert ratio_of([100.0, 10.0, 100.0], [50.0, 5.0, 25.0]) == 2.0


def test_a_ratio_of_rounds_that_do_not_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratio_of([1.0, 2.0], [1.0])


def test_turns_are_compared_with_their_neighbours_and_none_is_left_out() -> None:
    ours = [[10.0, 40.0], [20.0, 80.0], [900.0, 40.0]]  # the last turns cost twice as much
    theirs = [[10.0, 20.0], [20.0, 40.0], [10.0, 20.0]]  # one slow turn, and a slow round
    assert ratio_of_turns(ours, theirs) == 1.5


def test_the_rank_of_a_few_values_is_one_of_them() -> None:
    assert at_rank([3.0, 1.0, 2.0], 0.99) == 3.0
    assert at_rank([7.0], 0.5) == 7.0


def test_the_grid_holds_every_verdict_of_every_row() -> None:
    outcomes = [Outcome("one", [verdict(1.0)]), Outcome("two", [verdict(2.0), verdict(3.0)])]
    assert verdict_grid(outcomes).count("a thing") == 3


def test_the_json_says_whether_a_bound_was_met() -> None:
    found = Outcome("one", [verdict(1.0)], faults=["lost 1 of 2 jobs"]).as_json()
    assert found["verdicts"][0]["met"] is False
    assert found["faults"] == ["lost 1 of 2 jobs"]
