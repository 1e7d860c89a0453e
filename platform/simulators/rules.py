"""Misbehaviour on demand: rules that say for which calls, how often and how likely it happens."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

FIELDS = ("kind", "call", "subject", "times", "probability")


class RuleError(ValueError):
    """A switch was set to something it does not know; nothing was changed."""


@dataclass
class Rule:
    """One switch: a kind of misbehaviour, whom it strikes, and the options of that kind.

    `subject` is a payment or recipient, `*` allowed; `times` counts down to nothing left.
    """

    kind: str
    call: str = "*"
    subject: str = "*"
    times: int | None = None
    probability: float = 1.0
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(
        cls, data: Mapping[str, Any], kinds: Mapping[str, frozenset[str]], call: str
    ) -> Rule:
        """Return the rule that `data` describes; `kinds` names the options of every kind."""
        kind = data.get("kind")
        if not isinstance(kind, str) or kind not in kinds:
            message = f"Unknown rule kind '{kind}'; it must be one of: {', '.join(sorted(kinds))}."
            raise RuleError(message)
        options = {name: value for name, value in data.items() if name not in FIELDS}
        if unknown := set(options) - kinds[kind]:
            message = (
                f"Rule '{kind}' has no option '{', '.join(sorted(unknown))}'; "
                f"it takes: {', '.join(sorted(kinds[kind])) or 'none'}."
            )
            raise RuleError(message)
        times = data.get("times")
        return cls(
            kind=kind,
            call=str(data.get("call") or call),
            subject=str(data.get("subject") or "*"),
            times=None if times is None else int(times),
            probability=float(data.get("probability", 1.0)),
            options=options,
        )

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        named = {name: getattr(self, name) for name in FIELDS}
        return {**named, **self.options}

    def strikes(self, kind: str, call: str, subject: str) -> bool:
        """Tell whether this rule is of that kind, for that call and subject, and not used up."""
        return (
            self.kind == kind
            and self.times != 0
            and fnmatchcase(call, self.call)
            and fnmatchcase(subject, self.subject)
        )


class RuleBook:
    """The rules in force, in order; `changed` is set when a use was counted down."""

    def __init__(self, rules: Sequence[Rule] = (), seed: int = 0) -> None:
        """Hold `rules`; `seed` makes the lots of rules with a probability repeatable."""
        self.rules = list(rules)
        self.seed = seed
        self.changed = False
        self._lots: dict[tuple[int, str], int] = {}

    def draw(
        self,
        kind: str,
        call: str,
        subject: str,
        where: Callable[[Rule], bool] = lambda _: True,
    ) -> Rule | None:
        """Return the first rule that strikes now (and fits `where`), counted down, or None."""
        for index, rule in enumerate(self.rules):
            if not rule.strikes(kind, call, subject) or not where(rule):
                continue
            if not self._lot(index, rule, subject):
                continue
            if rule.times is not None:
                rule.times -= 1
                self.changed = True
            return rule
        return None

    def _lot(self, index: int, rule: Rule, subject: str) -> bool:
        """Draw by seed, rule, subject and how often it was drawn: threads cannot change it."""
        if rule.probability >= 1:
            return True
        drawn = self._lots[index, subject] = self._lots.get((index, subject), 0) + 1
        text = f"{self.seed}:{index}:{subject}:{drawn}".encode()
        lot = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") / 2**64
        return lot < rule.probability
