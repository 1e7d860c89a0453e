"""Cells of a page."""

from decimal import Decimal

from meet2be.exports.pdf_html import _amount


def test_equal_amounts_of_two_currencies_have_the_decimals_of_each() -> None:
    amounts = (Decimal("1200.00"), Decimal(1200), None)
    assert [_amount(amount, "de") for amount in amounts] == ["1.200,00", "1.200", ""]
