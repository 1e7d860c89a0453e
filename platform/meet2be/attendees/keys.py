"""What attendees are found and sorted by: normal forms that an index over their beginnings holds.

People are looked for by how a first, second or last name, a company, an address, its domain or a
ticket's code begins. Names lose capitals, accents and further spaces, so that "muller" finds
"Müller"; addresses keep their accents, which are other people's.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

LONGEST_KEY: Final = 200
"""Letters of a name's or a company's key; of a longer one the beginning counts."""
LONGEST_CODE: Final = 64
"""Letters of a code's key, which may be more than the code's: "İ" has two small ones."""


def folded(text: str) -> str:
    """Return a name without capitals, accents and spaces that mean nothing."""
    if not text.isascii():
        letters = unicodedata.normalize("NFKD", text).casefold()
        text = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return " ".join(text.lower().split())[:LONGEST_KEY]


def name_keys(name: str) -> dict[str, str | None]:
    """Return the keys of a name: the whole, what follows the first word, and its last word.

    `last_key` is empty where it would be `rest_key` again: most people have two names. Behind a
    hyphen a last name begins once more.
    """
    whole = folded(name)
    rest = whole.partition(" ")[2]
    last = rest.rpartition(" ")[2]
    if last == rest:
        last = rest.rpartition("-")[2]
    return {"name_key": whole, "rest_key": rest, "last_key": last if last != rest else None}


def address_keys(email_norm: str | None) -> dict[str, str | None]:
    """Return the keys of an address in its normal form, and of its domain; empty without one."""
    key = email_norm or ""
    return {"email_key": key, "domain_key": _same(key.rpartition("@")[2])}


def company_keys(company: str | None) -> dict[str, str | None]:
    """Return the key of a company, None without one."""
    return {"company_key": _company_key(company) if company else None}


def code_keys(ticket_code: str) -> dict[str, str | None]:
    """Return the key of a ticket's code, which begins with its order's."""
    return {"code_key": ticket_code.lower()[:LONGEST_CODE]}


def keys_of(values: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the keys of those of an attendee's columns that are among ``values``."""
    found: dict[str, str | None] = {}
    for column, make in _MAKERS.items():
        if column in values:
            found.update(make(values[column]))
    return found


_MAKERS: Final[Mapping[str, Any]] = {
    "name": name_keys, "email_norm": address_keys, "company": company_keys,
    "ticket_code": code_keys,
}  # fmt: skip


@lru_cache(maxsize=2048)
def _company_key(company: str) -> str | None:
    return folded(company) or None


@lru_cache(maxsize=2048)
def _same(domain: str) -> str:
    """Return the domain, one text for all who share it."""
    return domain
