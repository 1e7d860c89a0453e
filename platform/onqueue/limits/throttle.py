"""Limits made up on the spot: `throttle` for a rate, `funnel` for how many run at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from onqueue.errors import LimitDefinitionError
from onqueue.limits.gate import OneGate
from onqueue.limits.limit import Limit

if TYPE_CHECKING:
    from onqueue.options import Seconds
    from onqueue.quotas import Quota


class Throttle(OneGate):
    """`throttle(key).allow(n).every(seconds)`: so many in each span, whoever asks."""

    def __init__(self, key: object) -> None:
        """Count for one key."""
        self._key = str(key)
        self._most = 1
        self._limit: Limit | None = None

    def __repr__(self) -> str:
        """Return it as it is written."""
        return f"throttle({self._key!r})"

    def allow(self, most: int) -> Self:
        """Let so many through in each span; 1 unless said."""
        self._most = most
        return self

    def every(self, span: Seconds) -> Self:
        """Set the span."""
        self._limit = Limit.per(self._most, span).by(self._key)
        return self

    @property
    def quota(self) -> Quota:
        """What lets a job through."""
        return _quota(repr(self), self._limit, "throttle", "every(seconds)")


class Funnel(OneGate):
    """`funnel(key).limit(n)`: so many at once; a slot ends with the lease of who has it."""

    def __init__(self, key: object) -> None:
        """Count for one key."""
        self._key = str(key)
        self._limit: Limit | None = None

    def __repr__(self) -> str:
        """Return it as it is written."""
        return f"funnel({self._key!r})"

    def limit(self, most: int) -> Self:
        """Let so many through at once."""
        self._limit = Limit.concurrency(most).by(self._key)
        return self

    @property
    def quota(self) -> Quota:
        """What lets a job through."""
        return _quota(repr(self), self._limit, "funnel", "limit(n)")


def throttle(key: object) -> Throttle:
    """Return a rate to be completed: `throttle("stripe").allow(10).every(1)`."""
    return Throttle(key)


def funnel(key: object) -> Funnel:
    """Return a number of slots to be completed: `funnel("pdf").limit(3)`."""
    return Funnel(key)


def _quota(what: str, limit: Limit | None, scope: str, missing: str) -> Quota:
    quota = None if limit is None else limit.quota(scope)
    if quota is None:
        raise LimitDefinitionError(what, f"say how much it lets through, with .{missing}")
    return quota
