"""Two people at one form: what somebody else saved since it was shown.

A form carries a digest of each value that it showed. Whoever saves it compares these with what
stands now, while the row is held. Where somebody else saved meanwhile, nothing is written: the form
comes back with what was typed, takes over what was changed in fields that nobody touched here, and
tells of both. Saved once more, it counts as seen.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flask import request

from meet2be.language import N_, _

FIELD: Final = "seen"
_LENGTH: Final = 12
"""Letters of a digest: 48 bits, as nobody gains by two values that look alike."""
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)")
_SWITCHES: Final = {"yes": N_("yes"), "": "–"}


@dataclass(frozen=True, slots=True)
class Newer:
    """A value that somebody else saved meanwhile; ``is_typed``: here it was changed as well."""

    name: str
    label: str
    value: str
    is_typed: bool

    @property
    def words(self) -> str:
        """Return the value as a person reads it."""
        known = _SWITCHES.get(self.value)
        return _(known) if known else _MOMENT.sub(r"\1 \2", self.value)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a form's page carries: the digests of what it shows, and what is newer than asked."""

    digests: str = ""
    newer: tuple[Newer, ...] = ()

    def filled(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return what was sent, with what is newer in the fields that nobody touched."""
        taken = {each.name: each.value for each in self.newer if not each.is_typed}
        return {**given, **taken}


class SavedMeanwhile(Exception):
    """Somebody else saved what a form was shown for; ``seen`` is for its page."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        super().__init__(f"saved meanwhile: {[each.name for each in seen.newer]}")


def seen(values: Mapping[str, str]) -> Seen:
    """Return what the page of a form carries: when it is shown again, what it was sent with."""
    if request.method == "POST":
        return Seen(request.form.get(FIELD, ""))
    return Seen(_digests(values))


def check_unchanged(
    values: Mapping[str, str], given: Mapping[str, str], labels: Mapping[str, str]
) -> None:
    """Raise ``SavedMeanwhile`` when ``values``, which stand now, are newer than those shown.

    ``given`` was sent; ``labels`` name the fields. A form without digests is let through.
    """
    shown = _shown()
    newer = []
    for name, value in values.items():
        then, now, sent = shown.get(name), _digest(value), _digest(given.get(name, ""))
        if then is not None and now not in (then, sent):
            newer.append(Newer(name, labels.get(name, name), value, is_typed=sent != then))
    if newer:
        raise SavedMeanwhile(Seen(_digests(values), tuple(newer)))


def _shown() -> dict[str, str]:
    try:
        found = json.loads(request.form.get(FIELD, "") or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _digests(values: Mapping[str, str]) -> str:
    return json.dumps({name: _digest(value) for name, value in values.items()})


def _digest(value: str) -> str:
    """Return the digest of a value as forms send it: browsers break lines their own way."""
    plain = value.replace("\r\n", "\n").strip()
    plain = "" if plain == "no" else plain  # a switch that is off
    return hashlib.sha256(plain.encode()).hexdigest()[:_LENGTH]
