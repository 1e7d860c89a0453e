"""Money is read strictly and written as people of a place write it."""

import pytest

from meet2be.money import (
    AmountError,
    UnknownCurrencyError,
    decimals_of,
    format_minor,
    parse_minor,
    plain,
    same_figures,
    typed,
)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("990.00", "EUR", 99_000),
        ("249,00", "EUR", 24_900),
        ("1.234,50", "EUR", 123_450),
        ("1,234.50", "EUR", 123_450),
        ("1 234,50", "EUR", 123_450),
        ("1\u202f234\u202f567,5", "EUR", 123_456_750),
        ("1'234.50", "CHF", 123_450),
        (" 0 ", "EUR", 0),
        ("0.00", "EUR", 0),
        ("12", "EUR", 1_200),
        ("1.234.567", "EUR", 123_456_700),
        ("1234", "JPY", 1_234),
        ("1,234", "JPY", 1_234),
        ("1.234", "KWD", 1_234),
        ("1.234,567", "KWD", 1_234_567),
    ],
)
def test_amounts_are_read(text: str, currency: str, minor: int) -> None:
    assert parse_minor(text, currency) == minor


@pytest.mark.parametrize(
    ("text", "currency", "why"),
    [
        ("", "EUR", "is empty"),
        ("-5.00", "EUR", "is negative"),
        ("\u22125", "EUR", "is negative"),
        ("NaN", "EUR", "is no amount"),
        ("Infinity", "EUR", "is no amount"),
        ("1e5", "EUR", "is no amount"),
        ("٣٩٩", "EUR", "is no amount"),
        ("399 €", "EUR", "is no amount"),
        ("1.234", "EUR", "could be thousands or decimals"),
        ("1,234", "EUR", "could be thousands or decimals"),
        ("12.3456", "EUR", "odd places"),
        ("1.23.45", "EUR", "odd places"),
        ("1,23,456.00", "EUR", "odd places"),
        ("1234.567,00", "EUR", "odd places"),
        ("399.00", "JPY", "too many decimals"),
        ("1.", "EUR", "is no amount"),
        (".5", "EUR", "is no amount"),
        ("99999999999999", "EUR", "is too large"),
    ],
)
def test_what_is_no_amount_is_refused_with_the_reason(text: str, currency: str, why: str) -> None:
    with pytest.raises(AmountError, match=why):
        parse_minor(text, currency)


@pytest.mark.parametrize("code", ["", "EURO", "eur", "XYZ", "€"])
def test_an_unknown_currency_is_refused(code: str) -> None:
    with pytest.raises(UnknownCurrencyError, match="ISO 4217"):
        decimals_of(code)


@pytest.mark.parametrize(
    ("minor", "currency", "locale", "shown"),
    [
        (39_900, "EUR", "de-DE", "399,00\xa0€"),
        (39_900, "EUR", "en-GB", "€399.00"),
        (123_456, "JPY", "ja-JP", "￥123,456"),
        (1_234_567, "KWD", "en-GB", "KWD1,234.567"),
        (-500, "EUR", "en-GB", "-€5.00"),
        (39_900, "EUR", "xx-YY", "€399.00"),
        (39_900, "EUR", "", "€399.00"),
    ],
)
def test_amounts_are_written_by_locale(minor: int, currency: str, locale: str, shown: str) -> None:
    assert format_minor(minor, currency, locale) == shown


def test_amounts_for_machines_have_all_decimals() -> None:
    assert [plain(5, "EUR"), plain(5, "JPY"), plain(5, "KWD")] == ["0.05", "5", "0.005"]


@pytest.mark.parametrize("locale", ["en-GB", "de-DE", "de-CH", "fr-FR", "ar-EG", "nobody"])
def test_what_stands_in_a_field_is_read_as_the_same_amount(locale: str) -> None:
    for minor, currency in ((390, "EUR"), (123_456_789, "EUR"), (5, "JPY"), (1_234, "KWD")):
        assert parse_minor(typed(minor, currency, locale), currency) == minor
    assert typed(123_456, "EUR", "de-DE") == "1234,56"
    assert typed(123_456, "EUR", "en-GB") == "1234.56"


@pytest.mark.parametrize(
    ("minor", "currency", "locale", "shown"),
    [
        (2_000_000, "EUR", "en-GB", "€20,000"),
        (-2_000_000, "EUR", "de-DE", "-20.000\xa0€"),
        (2_050, "EUR", "en-GB", "€20.50"),
        (500, "JPY", "en-GB", "JP¥500"),
    ],
)
def test_round_amounts_are_written_without_noughts_where_asked_to(
    minor: int, currency: str, locale: str, shown: str
) -> None:
    assert format_minor(minor, currency, locale, short=True) == shown


@pytest.mark.parametrize(
    ("minor", "currency", "other", "there"),
    [
        (490, "EUR", "USD", 490),
        (490, "EUR", "JPY", 5),
        (449, "EUR", "JPY", 4),
        (490, "EUR", "KWD", 4_900),
        (500, "JPY", "EUR", 50_000),
        (12_340, "KWD", "EUR", 1_234),
        (12_346, "IQD", "KWD", 12_350),
        (0, "EUR", "JPY", 0),
    ],
)
def test_figures_are_the_same_in_a_currency_of_other_decimals(
    minor: int, currency: str, other: str, there: int
) -> None:
    assert same_figures(minor, currency, other) == there
