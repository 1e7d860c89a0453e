import pytest

from meet2be.money import UnknownCurrencyError, check_payable, decimals_of
from meet2be.plain_text import lines, one_line, unfit


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  Ada\t Arden \r\n", "Ada Arden"),
        ("a\x1b[31mred", "a [31mred"),
        ("a\x85b\u2028c", "a b c"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("\u2066Ada\u2069", "Ada"),
        ("half \ud800 sign", "half sign"),
        ("\u0645\u06cc\u200c\u062e\u0648", "\u0645\u06cc\u200c\u062e\u0648"),
        ("\u05d0\u200e\u05d1", "\u05d0\u200e\u05d1"),
        ("\U0001f469\u200d\U0001f680", "\U0001f469\u200d\U0001f680"),
    ],
)  # fmt: skip
def test_a_name_keeps_what_people_need_and_loses_what_deceives_them(typed: str, kept: str) -> None:
    assert one_line(typed) == kept
    assert unfit(one_line(typed)) is None


def test_a_text_of_several_lines_keeps_its_lines() -> None:
    assert lines("\n one \r\n\u202e\x1btwo\t.  \n\nthree\n") == "one\n two\t.\n\nthree"
    assert unfit("one\r\n\ttwo") is None
    assert (unfit("a\u202eb"), unfit("\x1b"), unfit("a\ud800")) == ("U+202E", "U+001B", "U+D800")


@pytest.mark.parametrize("code", ["XXX", "XTS", "XAU", "XDR", "XUA", "CHE", "DEM", "eur", ""])
def test_nobody_pays_with_what_is_no_money_or_none_any_more(code: str) -> None:
    with pytest.raises(UnknownCurrencyError):
        check_payable(code)


def test_people_pay_with_currencies_of_several_countries_too() -> None:
    for code in ("EUR", "USD", "CHF", "JPY", "XAF", "XOF", "XPF", "XCD"):
        check_payable(code)
    assert decimals_of("XXX") == 2, "what was sold once can still be shown"
