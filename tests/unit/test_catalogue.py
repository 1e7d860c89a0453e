"""The pages on Laravel's behaviours and on the lead say what the tests' marks say."""

import pytest

from support.catalogue import LEAD_PAGE, PAGE, Marks, lead_page, marks, missing, page
from support.catalogue_rows import LEAD, ROWS

pytestmark = pytest.mark.one_process  # reading all tests' marks takes seconds

OPERATORS = {87, 88, 89}
"""Behaviours of pools that scale themselves: they come with the operator's pages."""


@pytest.fixture(scope="session")
def found() -> Marks:
    return marks()


def test_the_pages_name_tests_that_bear_the_marks(found: Marks) -> None:
    """A test that is new may be missing on them; one that is gone may not stand there."""
    for path, made in ((PAGE, page), (LEAD_PAGE, lead_page)):
        written = path.read_text(encoding="utf-8")
        assert written == made(found.named_on(written)), "run `make catalogue`"


def test_each_row_that_a_test_shows_names_one(found: Marks) -> None:
    named = found.named_on(PAGE.read_text(encoding="utf-8")).catalogue
    assert {row.number for row in ROWS} & (set(found.catalogue) - set(named)) == set()
    leading = found.named_on(LEAD_PAGE.read_text(encoding="utf-8")).lead
    assert {number for number, _ in LEAD} & (set(found.lead) - set(leading)) == set()


def test_every_behaviour_has_its_row() -> None:
    assert [row.number for row in ROWS] == list(range(1, 91))
    assert [number for number, _ in LEAD] == list(range(1, 21))


def test_every_behaviour_is_shown_by_a_test(found: Marks) -> None:
    assert set(missing(found)) <= OPERATORS
