"""Which receivers are slow, as this process has seen it: they share a part of its places.

So many slow receivers cannot take all places at once: the rest is for all others. A new one counts
as fast until its first answers, for which it has the few places of any endpoint.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

FAST: Final = 1.0
"""Seconds that a fast receiver takes on average at most."""
_WEIGHT: Final = 0.3
_REMEMBERED: Final = 10_000


class Speeds:
    """Moving averages of the time that receivers take, in seconds."""

    def __init__(self) -> None:
        self._averages: OrderedDict[int, float] = OrderedDict()

    def note(self, endpoint_id: int, seconds: float) -> None:
        """Take in how long an attempt took."""
        known = self._averages.pop(endpoint_id, seconds)
        self._averages[endpoint_id] = known + _WEIGHT * (seconds - known)
        if len(self._averages) > _REMEMBERED:
            self._averages.popitem(last=False)

    def is_slow(self, endpoint_id: int) -> bool:
        """Tell whether the receiver has shown to be slow."""
        return self._averages.get(endpoint_id, 0.0) > FAST
