"""What the public DNS says about who may send for a domain: advice for people, decided by nobody.

Asked with a short deadline; no answer, or no resolver, is a finding of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import dns.exception
import dns.resolver

SECONDS: Final = 2.0
Found = Literal["there", "missing", "unknown"]
TextLookUp = Callable[[str], list[str]]
"""Returns the TXT records of a name, none when there are none; raises ``OSError``."""


@dataclass(frozen=True, slots=True)
class Advice:
    """One record that helps mail to arrive: where it stands and whether it is there."""

    key: Literal["spf", "dmarc"]
    name: str
    found: Found
    text: str = ""


def txt_records(name: str) -> list[str]:
    """Return the TXT records of a name from the machine's resolver; raises ``OSError``."""
    try:
        resolver = dns.resolver.Resolver()
        answer = resolver.resolve(name, "TXT", lifetime=SECONDS)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except dns.exception.DNSException as error:
        raise OSError(str(error)) from error
    return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]


def advice_for(domain: str, look_up: TextLookUp = txt_records) -> list[Advice]:
    """Return what is known of a domain's SPF and DMARC records."""
    return [
        _looked_at("spf", domain, "v=spf1", look_up),
        _looked_at("dmarc", f"_dmarc.{domain}", "v=DMARC1", look_up),
    ]


def _looked_at(key: Literal["spf", "dmarc"], name: str, begins: str, look_up: TextLookUp) -> Advice:
    try:
        records = look_up(name)
    except OSError:
        return Advice(key, name, "unknown")
    text = next((each for each in records if each.casefold().startswith(begins.casefold())), "")
    return Advice(key, name, "there" if text else "missing", text[:300])
