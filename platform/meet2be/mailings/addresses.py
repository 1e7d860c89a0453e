"""One mail address in its normal form, or none: what is checked before a mail is kept."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from email_validator import EmailNotValidError, validate_email

from meet2be.mailings.errors import BadAddress

_AROUND: Final = " \t\r\n\u00a0\u200b\u200c\u200d\u2060\ufeff\u202f\u3000"


@lru_cache(maxsize=2048)
def one_address(text: str) -> str:
    """Return the address in ``text`` without what stands around it; raises ``BadAddress``.

    Several addresses, a line break, a dot behind the domain or a display name are refused: a mail
    goes to one person, and to nobody rather than to a guess. Its domain is not asked for.
    """
    shown = text.strip(_AROUND)
    try:
        validate_email(shown, check_deliverability=False, allow_quoted_local=True)
    except EmailNotValidError as error:
        raise BadAddress(shown) from error
    return shown


def normal_form(address: str) -> str:
    """Return the form in which addresses are compared, and people found by them.

    Dots and plus signs are kept. Letters become small and nothing more: ``str.casefold`` would take
    “ß” for “ss”, and ``faß.de`` and ``fass.de`` belong to different people (RFC 5891 §5.4, IDNA
    2008 keeps “ß” and “ς”).
    """
    return address.strip(_AROUND).lower()
