"""The list of a preview as a file."""

from collections.abc import Iterator

import pytest

from meet2be.cancellations.planning import Line, PaidWith, PlannedItem
from meet2be.cancellations.report import BOM, preview_rows


def item(name: str, email: str | None = None, currency: str = "EUR") -> PlannedItem:
    payment = PaidWith(1, "succeeded", 12_345, 0, currency, "stripe:", test_mode=False)
    line = Line(1, 1, 1, name, email, "en", 12_345, 45, "EUR", checked_in=True, payment=payment)
    return PlannedItem(line, 0, 11_300, 1_000, "refund")


def test_amounts_have_the_decimals_of_the_currency_that_was_paid_in() -> None:
    euros, yen, dinars = list(preview_rows(item("Ada", currency=c) for c in ("EUR", "JPY", "KWD")))[
        1:
    ]
    assert euros == "Ada,,EUR,123.45,0.45,113.00,10.00,refund,yes\r\n"
    assert yen == "Ada,,JPY,12345,45,11300,1000,refund,yes\r\n"
    assert dinars == "Ada,,KWD,12.345,0.045,11.300,1.000,refund,yes\r\n"


@pytest.mark.parametrize("typed", ['=HYPERLINK("http://x")', "+1", " @SUM(1)", "\uff1d1"])
def test_what_people_have_typed_is_no_formula(typed: str) -> None:
    _, line = preview_rows([item(typed, typed)])
    cells = line.replace('"', "").split(",")
    assert [cell[0] for cell in cells[:2]] == ["'", "'"]


def test_each_line_is_made_when_it_is_asked_for() -> None:
    def one_and_no_more() -> Iterator[PlannedItem]:
        yield item("Ada, the first")
        pytest.fail("a second attendee was read ahead")

    lines = preview_rows(one_and_no_more())
    assert next(lines).startswith(f"{BOM}Name,E-mail,")
    assert next(lines).startswith('"Ada, the first",')
