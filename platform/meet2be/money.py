"""Money: whole minor units and a currency; reading and writing. Never a float.

How many decimals a currency has is ISO 4217's rule, not the habit of a locale.
"""

from __future__ import annotations

import re
from copy import copy
from decimal import Decimal
from functools import lru_cache
from typing import Final

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.numbers import NumberPattern

from meet2be.errors import Meet2BeError
from meet2be.language import N_, Message

_NO_DECIMALS: Final = frozenset(
    [
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "UYI",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    ]
)
_THREE_DECIMALS: Final = frozenset(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"])
# Card schemes move these by tens: https://docs.stripe.com/currencies, three-decimal currencies.
_LAST_DIGIT_ZERO: Final = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])
_MOST_DIGITS: Final = 15
_NUMBER: Final = re.compile(r"[0-9]+(?:[.,'’ \u00a0\u202f][0-9]+)*")
_SEPARATOR: Final = re.compile(r"[.,'’ \u00a0\u202f]")
_DECIMAL_MARKS: Final = frozenset(".,")
_GROUP: Final = 3
_MINUSES: Final = "-\u2212\u2013"
DEFAULT_DECIMALS: Final = 2
FALLBACK_LOCALE: Final = "en"


class MoneyError(Meet2BeError):
    """An amount or currency that cannot be taken."""


class UnknownCurrencyError(MoneyError):
    """Three letters that name no currency."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(
            f"'{code}' is no currency. Write its ISO 4217 code in capitals, such as EUR."
        )


class AmountError(MoneyError):
    """A text that is no amount of its currency."""

    def __init__(self, text: str, currency: str, why: str) -> None:
        self.text = text
        self.currency = currency
        self.why = why
        super().__init__(Message("'%(text)s' %(why)s", {"text": text, "why": Message(why)}))


def decimals_of(currency: str) -> int:
    """Return how many decimals the currency has (0, 2 or 3); raise UnknownCurrencyError."""
    if currency not in get_global("all_currencies"):
        raise UnknownCurrencyError(currency)
    if currency in _NO_DECIMALS:
        return 0
    return 3 if currency in _THREE_DECIMALS else DEFAULT_DECIMALS


def smallest_step(currency: str) -> int:
    """Return of how many minor units an amount has to be a multiple to be moved by a card."""
    return 10 if currency in _LAST_DIGIT_ZERO else 1


def movable(amount_minor: int, currency: str) -> int:
    """Return how much of an amount a card can move, in minor units: the rest is below its step."""
    return amount_minor - amount_minor % smallest_step(currency)


def same_figures(amount_minor: int, currency: str, other: str) -> int:
    """Return the amount that is written alike in another currency, in that one's minor units.

    Rounded half up where it has fewer decimals, then to what cards can move. No exchange: 4.90 EUR
    are 4.90 USD, 5 JPY and 4.900 KWD.
    """
    more = decimals_of(other) - decimals_of(currency)
    fewer = int(10 ** max(0, -more))
    step = smallest_step(other)
    figures = (amount_minor * int(10 ** max(0, more)) + fewer // 2) // fewer
    return (figures + step // 2) // step * step


def odd_price(currency: str) -> Message:
    """Return what to say of a price that no card can move."""
    return Message(
        "Cards move %(currency)s only in amounts whose last digit is 0, such as %(example)s.",
        {"currency": currency, "example": format_minor(12_340, currency, FALLBACK_LOCALE)},
    )


def check_payable(currency: str) -> None:
    """Raise UnknownCurrencyError unless people pay with it somewhere today.

    Not with gold (XAU), bonds and units of account, the code for tests (XTS) or for none (XXX).
    """
    if currency not in _payable():
        raise UnknownCurrencyError(currency)


def not_payable(currency: str) -> Message:
    """Return what to say of three letters with which nobody pays."""
    return Message(
        "Nobody pays in “%(code)s”. Give the three letters of a currency in use, such as EUR.",
        {"code": currency[:8]},
    )


@lru_cache(maxsize=1)
def _payable() -> frozenset[str]:
    """Return what is legal tender somewhere, without an end: CLDR's table of territories."""
    return frozenset(
        code
        for of_one in get_global("territory_currencies").values()
        for code, _since, until, is_tender in of_one
        if is_tender and until is None
    )


def parse_minor(text: str, currency: str) -> int:
    """Return an amount in minor units: 24900 for "249,00" or "249.00" or "249" EUR.

    Point and comma are both taken, thousands may be grouped ("1.234,50"). What could be meant
    in two ways ("1.234" EUR) is refused rather than guessed. Raises AmountError, also for
    negative amounts, and UnknownCurrencyError.
    """
    digits = decimals_of(currency)
    shown = text.strip()
    if not shown:
        raise AmountError(shown, currency, N_("is empty. Write 0 where nothing was paid."))
    if shown[0] in _MINUSES:
        why = N_("is negative. Amounts are written without a sign.")
        raise AmountError(shown, currency, why)
    if not _NUMBER.fullmatch(shown):
        why = N_("is no amount. Write it in figures, such as 1234.56.")
        raise AmountError(shown, currency, why)
    try:
        whole, fraction = _split(shown, digits)
    except ValueError as error:
        raise AmountError(shown, currency, str(error)) from error
    if len(whole) + digits > _MOST_DIGITS:
        raise AmountError(shown, currency, N_("is too large."))
    return int(whole + fraction.ljust(digits, "0"))


def _split(shown: str, digits: int) -> tuple[str, str]:
    """Return the figures before and after the decimal mark; ValueError says why there are none."""
    marks = _SEPARATOR.findall(shown)
    parts = _SEPARATOR.split(shown)
    if not marks:
        return shown, ""
    last = marks[-1]
    is_decimal = last in _DECIMAL_MARKS and marks.count(last) == 1
    if is_decimal and len(marks) == 1 and digits == DEFAULT_DECIMALS and len(parts[1]) == _GROUP:
        msg = N_("could be thousands or decimals. Write it with two decimals and no grouping.")
        raise ValueError(msg)
    if is_decimal and digits and len(parts[-1]) <= digits:
        groups, fraction = parts[:-1], parts[-1]
        marks = marks[:-1]
    else:
        groups, fraction = parts, ""
    grouped = len(set(marks)) <= 1 and all(len(part) == _GROUP for part in groups[1:])
    if len(groups) > 1 and not (grouped and len(groups[0]) <= _GROUP):
        msg = N_("has its marks in odd places, or too many decimals.")
        raise ValueError(msg)
    return "".join(groups), fraction


def format_minor(minor: int, currency: str, locale: str, *, short: bool = False) -> str:
    """Return an amount as people of that locale write it: 399,00 € for 39900 EUR in de-DE.

    ``short`` leaves the decimals away where there are none but noughts: 399 €.
    """
    language, digits = _locale(locale), decimals_of(currency)
    if short and minor % 10**digits == 0:
        digits = 0
    return str(
        _pattern(language, digits).apply(
            to_decimal(minor, currency), language, currency=currency, currency_digits=False
        )
    )


@lru_cache(maxsize=256)
def _pattern(language: Locale, digits: int) -> NumberPattern:
    """Return the language's way of writing money, with our number of decimals, not CLDR's."""
    pattern: NumberPattern = copy(language.currency_formats["standard"])
    pattern.frac_prec = (digits, digits)
    return pattern


def to_decimal(minor: int, currency: str) -> Decimal:
    """Return an amount in units of its currency, with exactly its decimals."""
    return Decimal(minor).scaleb(-decimals_of(currency))


def plain(minor: int, currency: str) -> str:
    """Return an amount for machines: 399.00 for 39900 EUR."""
    return f"{to_decimal(minor, currency):f}"


def typed(minor: int, currency: str, locale: str) -> str:
    """Return an amount as people of that locale type it into a field: 399,00 for de-DE.

    Without groups and the currency's sign; `parse_minor` takes it, whatever the locale.
    """
    mark = _locale(locale).number_symbols["latn"].get("decimal", ".")
    return plain(minor, currency).replace(".", mark if mark in _DECIMAL_MARKS else ".")


@lru_cache(maxsize=256)
def _locale(name: str) -> Locale:
    for candidate in (name.replace("_", "-"), name.partition("-")[0], FALLBACK_LOCALE):
        try:
            return Locale.parse(candidate, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return Locale(FALLBACK_LOCALE)
