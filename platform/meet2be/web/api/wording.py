"""What is wrong with a part of a request, in sentences of ours: what it is, and what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from meet2be.language import N_, Message, said
from meet2be.objects.base import UidRefused

MOST_TOLD: Final = 50
LONGEST_SHOWN: Final = 60
_HIDDEN: Final = frozenset(("headers", "password", "secret", "code", "method"))
"""Parts whose values are told to nobody, not even to who sent them: answers are kept in logs."""
_CHOICE: Final = re.compile(r"'([^']*)'")
_PLACE: Final = re.compile(r"line (\d+) column (\d+)")

_A_WHOLE_NUMBER: Final = N_("Give a whole number, not %(given)s.")
_A_NUMBER: Final = N_("Give a number, not %(given)s.")
_YES_OR_NO: Final = N_("Give true or false, not %(given)s.")
_A_MOMENT: Final = N_("%(given)s is no moment. Write it like 2026-11-22T09:00:00Z.")
_AN_OBJECT: Final = N_("Give an object ({…}), not %(given)s.")
_SENTENCES: Final[Mapping[str, str]] = {
    "missing": N_("This is missing. Give it."),
    "extra_forbidden": N_("This is not known here. Leave it out, or look for its name in the"
                          " description of the API."),
    "string_type": N_("Give a text, not %(given)s."),
    "string_unicode": N_("This is no text in UTF-8. Send it as UTF-8."),
    "string_too_short": N_("This is too short. Give at least %(min_length)s characters."),
    "string_too_long": N_("This is too long. Give at most %(max_length)s characters."),
    "too_short": N_("These are %(actual_length)s. Give at least %(min_length)s."),
    "too_long": N_("These are too many. Give at most %(max_length)s."),
    "int_type": _A_WHOLE_NUMBER,
    "int_parsing": _A_WHOLE_NUMBER,
    "int_parsing_size": _A_WHOLE_NUMBER,
    "int_from_float": _A_WHOLE_NUMBER,
    "float_type": _A_NUMBER,
    "float_parsing": _A_NUMBER,
    "bool_type": _YES_OR_NO,
    "bool_parsing": _YES_OR_NO,
    "greater_than_equal": N_("%(given)s is too small. Give at least %(ge)s."),
    "greater_than": N_("%(given)s is too small. Give more than %(gt)s."),
    "less_than_equal": N_("%(given)s is too large. Give at most %(le)s."),
    "less_than": N_("%(given)s is too large. Give less than %(lt)s."),
    "list_type": N_("Give a list ([…]), not %(given)s."),
    "dict_type": _AN_OBJECT,
    "model_type": _AN_OBJECT,
    "model_attributes_type": _AN_OBJECT,
    "literal_error": N_("%(given)s is not possible here. Give one of: %(choices)s."),
    "datetime_type": _A_MOMENT,
    "datetime_parsing": _A_MOMENT,
    "datetime_from_date_parsing": _A_MOMENT,
    "datetime_object_invalid": _A_MOMENT,
    "timezone_aware": N_("%(given)s says no time zone. Write it like 2026-11-22T09:00:00Z."),
}  # fmt: skip
_OTHERWISE: Final = N_("%(given)s is not possible here. Look at the description of the API.")


class Unfit(ValueError):
    """A value that a check of ours refuses; the message says why and what to do."""

    def __init__(self, message: Message) -> None:
        """Keep the message, to be said to whoever sent the value."""
        self.message = message
        super().__init__(str(message))


def told(error: ValidationError) -> list[tuple[str, str]]:
    """Return what is wrong: the place, with slashes, and a sentence in the caller's language."""
    return [
        ("/".join(str(part)[:LONGEST_SHOWN] for part in each["loc"]), said(_message(each)))
        for each in error.errors(include_url=False)[:MOST_TOLD]
    ]


def broken_json(error: ValidationError) -> Message | None:
    """Return what is wrong when a body is no JSON at all; None when it is."""
    for each in error.errors(include_url=False, include_input=False):
        if each["type"] == "json_invalid":
            found = _PLACE.search(str(each.get("ctx", {}).get("error", "")))
            if found is None:
                return Message(N_("The body is no JSON. Send a JSON object."))
            where = {"line": found[1], "column": found[2]}
            return Message(
                N_("The body is no JSON: it breaks off at line %(line)s, column %(column)s."), where
            )
    return None


def _message(each: ErrorDetails) -> Message:
    details: dict[str, Any] = each.get("ctx", {})
    refusal = details.get("error")
    if isinstance(refusal, Unfit | UidRefused):
        return refusal.message
    choices = ", ".join(_CHOICE.findall(str(details.get("expected", ""))))
    is_hidden = _HIDDEN.intersection(each["loc"])
    given = Message(N_("what was given")) if is_hidden else shown(each["input"])
    values = {**details, "choices": choices, "given": given}
    return Message(_SENTENCES.get(each["type"], _OTHERWISE), values)


def shown(value: object) -> str | Message:
    """Return a value as a sentence names it: as JSON where it is short, else its kind."""
    if isinstance(value, Mapping):
        return Message(N_("an object"))
    if isinstance(value, list):
        return Message(N_("a list"))
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "…"
