"""Writes docs/reference/settings.md from the variables themselves."""

import sys
from typing import Any

from meet2be.config_values import Variable
from meet2be.config_variables import VARIABLES

_HEAD = """\
# Settings

All settings are environment variables; an empty one counts as unset. A start with unusable ones
ends at once and names them all, secrets masked. This page is made from `meet2be.config_variables`:

    .venv/bin/python -m meet2be.settings_reference > docs/reference/settings.md

| Variable | Default | Allowed | What it is for |
| --- | --- | --- | --- |
"""


def reference() -> str:
    """Return the page in Markdown."""
    return _HEAD + "".join(_row(variable) for variable in VARIABLES)


def _row(variable: Variable[Any]) -> str:
    default = variable.shown_default or f"`{_plain(variable.default)}`"
    allowed = variable.parser.allows.replace("|", "\\|")
    return f"| `{variable.name}` | {default} | {allowed} | {variable.about} |\n"


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.stdout.write(reference())
