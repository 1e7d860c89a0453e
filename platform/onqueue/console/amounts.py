"""Numbers on the command line."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click import Context, Parameter


class Amount(click.FloatRange):
    """A number within bounds that is neither `nan` nor infinite, which no bound keeps out."""

    def convert(self, value: Any, param: Parameter | None, ctx: Context | None) -> Any:
        """Return the number; fails with a usage error."""
        number = super().convert(value, param, ctx)
        if not isfinite(number):
            self.fail(f"{value!r} is no finite number.", param, ctx)
        return number
