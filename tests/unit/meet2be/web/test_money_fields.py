"""Percentages as people type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meet2be.web.money_fields import BadPercentError, read_percent


@pytest.mark.parametrize(
    ("typed", "points"),
    [("0", 0), ("100", 10_000), ("12.5", 1250), ("12,5 %", 1250), (" 7 ", 700), ("0.05", 5)],
)
def test_a_percentage_is_read_with_point_or_comma(typed: str, points: int) -> None:
    assert read_percent(typed) == points


@pytest.mark.parametrize(
    "typed", ["", " ", "%", "100.01", "-1", "1e2", "12.345", "1.2.3", "ten", "٣", "999"]
)
def test_anything_else_is_refused_with_what_would_do(typed: str) -> None:
    with pytest.raises(BadPercentError, match="from 0 to 100"):
        read_percent(typed)


@given(st.integers(min_value=0, max_value=10_000))
def test_every_percentage_with_two_places_is_read_exactly(points: int) -> None:
    assert read_percent(f"{points // 100}.{points % 100:02d}") == points
