"""The pages on Laravel's behaviours and on the lead say what the tests' marks say."""

import pytest

from support.catalogue import LEAD_PAGE, PAGE, Marks, lead_page, marks, missing, page
from support.catalogue_rows import LEAD, ROWS

pytestmark = pytest.mark.xdist_group("catalogue")  # reading all tests' marks takes seconds

OPERATORS = {87, 88, 89}
"""Behaviours of pools that scale themselves: they come with the operator's pages."""


@pytest.fixture(scope="module")
def found() -> Marks:
    return marks()


def test_the_pages_are_what_make_catalogue_writes(found: Marks) -> None:
    assert PAGE.read_text(encoding="utf-8") == page(found), "run `make catalogue`"
    assert LEAD_PAGE.read_text(encoding="utf-8") == lead_page(found), "run `make catalogue`"


def test_every_behaviour_has_its_row() -> None:
    assert [row.number for row in ROWS] == list(range(1, 91))
    assert [number for number, _ in LEAD] == list(range(1, 21))


def test_every_behaviour_is_shown_by_a_test(found: Marks) -> None:
    assert set(missing(found)) <= OPERATORS
