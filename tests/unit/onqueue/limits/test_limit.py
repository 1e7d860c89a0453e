"""Limits as authors write them, and what a driver is given to count."""

from datetime import timedelta

import pytest

from onqueue.errors import LimitDefinitionError
from onqueue.limits import Limit
from onqueue.quotas import Quota


@pytest.mark.parametrize(
    ("limit", "span"),
    [
        (Limit.per_second(5), 1),
        (Limit.per_second(5, 0.5), 0.5),
        (Limit.per_minute(5), 60),
        (Limit.per_hour(5, 2), 7_200),
        (Limit.per_day(5), 86_400),
        (Limit.per(5, timedelta(minutes=10)), 600),
    ],
)
def test_a_rate_has_its_span(limit: Limit, span: float) -> None:
    assert limit.by(7).quota("api") == Quota("rate", f"api:{span:g}s:7", 5, span)


def test_a_rolling_rate_is_counted_apart_and_only_rates_roll() -> None:
    rolling = Limit.per_hour(10).rolling().by("ada")
    assert rolling.quota("mail") == Quota("moving", "mail:3600s:ada", 10, 3600.0)
    assert Limit.per_hour(10).by("ada").rolling() == rolling
    with pytest.raises(LimitDefinitionError, match="only a rate"):
        Limit.concurrency(2).rolling()


def test_how_many_run_at_once_is_counted_in_slots() -> None:
    assert Limit.concurrency(2).by("acme").quota("pdf") == Quota("slots", "pdf:acme", 2)


def test_no_limit_counts_nothing() -> None:
    assert Limit.none().by("acme").quota("api") is None


@pytest.mark.parametrize("most", [0, -1, True, 1.5, "3"])
def test_a_limit_that_lets_none_through_or_is_no_number_is_refused(most: object) -> None:
    with pytest.raises(LimitDefinitionError, match="whole number from 1 on"):
        Limit.per_minute(most)  # type: ignore[arg-type]


@pytest.mark.parametrize("span", [0, -1, float("inf")])
def test_a_window_without_length_is_refused(span: float) -> None:
    with pytest.raises(LimitDefinitionError, match="longer than 0 s"):
        Limit.per(1, span)
