"""The sentences that the platform says, found in its code and templates, for the translations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from babel.messages.extract import extract_from_dir

ROOT = Path(__file__).resolve().parents[2]
PLACES = (ROOT / "platform" / "meet2be", ROOT / "jobs")
METHODS = [("**.py", "python"), ("**.html", "jinja2"), ("**.txt", "jinja2")]
KEYWORDS: dict[str, Any] = {
    "_": None,
    "N_": None,
    "ngettext": (1, 2),
    "Message": (1,),
    "pgettext": ((1, "c"), 2),
    "in_sense": ((1, "c"), 2),
    "NC_": ((1, "c"), 2),
}


def sentences() -> dict[str, str]:
    """Return every sentence with the place of its first use; plurals by their singular.

    One that has a sense stands as in gettext's catalogues: the sense, the sign EOT, the sentence.
    """
    found: dict[str, str] = {}
    for place in PLACES:
        for name, line, message, _comments, context in extract_from_dir(
            place, METHODS, keywords=KEYWORDS
        ):
            key = message if isinstance(message, str) else message[0]
            if key:
                key = f"{context}\x04{key}" if context else key
                found.setdefault(key, f"{place.name}/{name}:{line}")
    return found
