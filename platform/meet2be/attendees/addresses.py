"""Mail addresses as people type them into lists: taken as they are, or not at all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from email_validator import EmailNotValidError, validate_email

from meet2be.language import Message
from meet2be.mailings.addresses import normal_form

# What spreadsheets leave around an address: spaces of all kinds and marks nobody sees.
_AROUND: Final = " \t\r\n\u00a0\u200b\u200c\u200d\u2060\ufeff\u202f\u3000"
_GAPS: Final = re.compile(r"\s+")
# RFC 5321 §4.5.3.1, and dot-atoms of RFC 5322 without the rarer marks.
_LONGEST_LOCAL: Final = 64
_LONGEST: Final = 254
_PLAIN_LOCAL: Final = re.compile(r"[A-Za-z0-9_+\-]+(?:\.[A-Za-z0-9_+\-]+)*")


@dataclass(frozen=True, slots=True)
class Address:
    """`email` as it will be written to, None for none; `warning` says what was found instead."""

    email: str | None
    warning: Message | None = None


@lru_cache(maxsize=4096)
def read_address(text: str) -> Address:
    """Return the address in a cell.

    Spaces around it are taken away. An address that is broken in any other way is *not* repaired,
    however near the right one seems: mail about money goes to nobody rather than to a guess. The
    warning names the likely meaning, so that a person can decide.
    """
    shown = text.strip(_AROUND)
    if not shown:
        return Address(None, Message("no address; this person will get no mail."))
    problem = _problem(shown)
    if problem is None:
        return Address(shown)
    joined = _GAPS.sub("", shown)
    values = {"problem": problem, "likely": repr(joined)}
    if joined != shown and _problem(joined) is None:
        return Address(
            None,
            Message(
                "no usable address: %(problem)s; did they mean %(likely)s?"
                " This person will get no mail.",
                values,
            ),
        )
    return Address(
        None, Message("no usable address: %(problem)s This person will get no mail.", values)
    )


def normal_address(email: str) -> str:
    """Return the form in which addresses are compared."""
    return normal_form(email)


def _problem(address: str) -> str | None:
    local, _, domain = address.rpartition("@")
    if len(local) <= _LONGEST_LOCAL and _PLAIN_LOCAL.fullmatch(local) and _is_good(domain):
        # What nearly all addresses are: their domains are few, and looked at once.
        return None if len(address) <= _LONGEST else _asked(address)
    return _asked(address)


def _asked(address: str) -> str | None:
    try:
        validate_email(address, check_deliverability=False)
    except EmailNotValidError as error:
        return str(error).rstrip(".")
    return None


@lru_cache(maxsize=4096)
def _is_good(domain: str) -> bool:
    return _asked(f"x@{domain}") is None
