"""How many jobs of a key may start in a span of time, or run at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

from onqueue.errors import LimitDefinitionError
from onqueue.options import Seconds, seconds
from onqueue.quotas import Quota, QuotaKind

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0


# Nobody changes one, as rules that say the same get the same one; but it is not frozen: that would
# cost a microsecond for each job whose rule counts `by` something.
@dataclass(slots=True, unsafe_hash=True)
class Limit:
    """So many in `span` seconds (0: at once) for each key; made by its class methods.

    A window begins with the first job in it, unless it is rolling. `most` None is no limit at all.
    """

    most: int | None
    span: float = 0.0
    key: str = ""
    is_rolling: bool = False

    @classmethod
    def per(cls, most: int, span: Seconds) -> Self:
        """Let so many start in a span of time."""
        kind: Any = cls
        found: Self = _rate(kind, most, span)
        return found

    @classmethod
    def per_second(cls, most: int, spans: float = 1) -> Self:
        """Let so many start in a second, or in several."""
        return cls.per(most, spans)

    @classmethod
    def per_minute(cls, most: int, spans: float = 1) -> Self:
        """Let so many start in a minute, or in several."""
        return cls.per(most, MINUTE * spans)

    @classmethod
    def per_hour(cls, most: int, spans: float = 1) -> Self:
        """Let so many start in an hour, or in several."""
        return cls.per(most, HOUR * spans)

    @classmethod
    def per_day(cls, most: int, spans: float = 1) -> Self:
        """Let so many start in a day, or in several."""
        return cls.per(most, DAY * spans)

    @classmethod
    def concurrency(cls, most: int) -> Self:
        """Let so many run at once."""
        return cls(_checked_count(most))

    @classmethod
    def none(cls) -> Self:
        """Let all through."""
        return cls(None)

    def by(self, key: object) -> Self:
        """Count for this key only, as its text; without one all jobs share the limit."""
        return self.__class__(self.most, self.span, str(key), self.is_rolling)

    def rolling(self) -> Self:
        """Let no span of that length have more, wherever it begins; for small numbers."""
        if not self.span:
            raise LimitDefinitionError(f"rolling() on {self!r}", "only a rate has a window")
        return self.__class__(self.most, self.span, self.key, is_rolling=True)

    def quota(self, scope: str) -> Quota | None:
        """Return what a driver counts, under a name of its own in `scope`; None without limit."""
        return _quota(self, scope)


# Rules run for each job: what they make is the same for most jobs, and made once.
@lru_cache(maxsize=4096)
def _quota(limit: Limit, scope: str) -> Quota | None:
    if limit.most is None:
        return None
    if limit.span == 0:
        return Quota("slots", f"{scope}:{limit.key}", limit.most)
    kind: QuotaKind = "moving" if limit.is_rolling else "rate"
    return Quota(kind, f"{scope}:{limit.span:g}s:{limit.key}", limit.most, limit.span)


@lru_cache(maxsize=1024, typed=True)
def _rate(kind: Any, most: int, span: Seconds) -> Any:
    length = seconds(span)
    if not 0 < length < float("inf"):
        raise LimitDefinitionError(f"A window of {span!r}", "it must last longer than 0 s")
    return kind(_checked_count(most), length)


def _checked_count(most: object) -> int:
    if not isinstance(most, int) or isinstance(most, bool) or most < 1:
        why = "it must be a whole number from 1 on (to let none through, pause the queue)"
        raise LimitDefinitionError(f"A limit of {most!r}", why)
    return most
