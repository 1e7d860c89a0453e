"""Limiters by name: what they allow may depend on the job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from onqueue.errors import LimitDefinitionError, UnknownLimiter
from onqueue.limits.limit import Limit

if TYPE_CHECKING:
    from onqueue.job import Job
    from onqueue.quotas import Quota

Rule: TypeAlias = Callable[[Any], Limit | Sequence[Limit] | None]
"""Gets the job; returns one limit, several that must all let it through, or none."""


class RateLimiter:
    """The limiters of this process; the counting is the broker's, so all workers share it."""

    _rules: ClassVar[dict[str, Rule]] = {}

    @classmethod
    def define(cls, name: str, rule: Rule) -> None:
        """Give a name to a rule; one that had the name before is replaced."""
        given: object = rule
        if not callable(given):
            why = f"its rule must be callable with a job, not {given!r}"
            raise LimitDefinitionError(f"Limiter {name!r}", why)
        cls._rules[name] = rule

    @classmethod
    def forget(cls, name: str) -> None:
        """Take a name back; unknown ones are no error."""
        cls._rules.pop(name, None)

    @classmethod
    def names(cls) -> list[str]:
        """Return the names that are defined, sorted."""
        return sorted(cls._rules)

    @classmethod
    def quotas(cls, name: str, job: Job) -> list[Quota]:
        """Return what a job must be let through by; raises `UnknownLimiter`."""
        rule = cls._rules.get(name)
        if rule is None:
            raise UnknownLimiter(name, cls._rules, job.name)
        found = rule(job)
        if isinstance(found, Limit):
            one = found.quota(name)
            return [] if one is None else [one]
        limits = found if isinstance(found, list | tuple) else [found]
        quotas: dict[str, Quota] = {}
        for limit in limits:
            quota = _limit_of(name, limit).quota(name)
            if quota is not None and quota.most <= quotas.get(quota.key, quota).most:
                quotas[quota.key] = quota
        return list(quotas.values())


def _limit_of(name: str, value: object) -> Limit:
    if value is None:
        return Limit.none()
    if isinstance(value, Limit):
        return value
    why = f"its rule must return a Limit, several in a list, or None, not {value!r}"
    raise LimitDefinitionError(f"Limiter {name!r}", why)
