"""The provider's switches: what it does wrong, slowly, late or twice."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from fnmatch import fnmatchcase
from typing import Any

from simulators.rules import Rule, RuleBook, RuleError

REFUND_CREATE = "refund.create"
PAYMENT_CREATE = "payment_intent.create"
SESSION_CREATE = "checkout_session.create"

# Every kind of rule with the options it takes.
KINDS: dict[str, frozenset[str]] = {
    "latency": frozenset({"ms"}),
    "rate_limit": frozenset(),
    "hang_before": frozenset({"seconds"}),
    "error_before": frozenset({"status", "stored"}),
    "refuse": frozenset({"code", "message", "status", "param"}),
    "pending": frozenset({"reason", "settle_after", "settle_status", "failure_reason"}),
    "decline": frozenset({"code"}),
    "fail_later": frozenset({"after", "failure_reason"}),
    "error_after": frozenset({"status", "stored"}),
    "timeout_after": frozenset({"seconds"}),
}
FUNDS = ("unlimited", "error", "pending")


@dataclass(frozen=True)
class WebhookSettings:
    """Where events go and how badly.

    `early` sends before the API's answer, `delay_ms` later, `copies` several times,
    `out_of_order_ms` holds back the first event of each call, `retry_ms` is the first pause
    after a refused delivery (it doubles up to a minute), `events` are the kinds to send.
    """

    enabled: bool = True
    url: str | None = None
    secret: str = "whsec_simulated"  # noqa: S105 - the default of a simulator
    early: bool = False
    delay_ms: int = 0
    copies: int = 1
    out_of_order_ms: int = 0
    retry_ms: int = 1000
    max_tries: int = 20
    timeout_ms: int = 10_000
    events: tuple[str, ...] = ("*",)

    def wants(self, kind: str) -> bool:
        """Tell whether events of this kind are sent at all."""
        return (
            self.enabled
            and self.url is not None
            and any(fnmatchcase(kind, pattern) for pattern in self.events)
        )


@dataclass
class Behaviour:
    """All switches together; the default is a provider that does everything right at once."""

    latency_ms: int = 0
    funds: str = "unlimited"
    webhooks: WebhookSettings = field(default_factory=WebhookSettings)
    book: RuleBook = field(default_factory=RuleBook)

    def changed_by(self, data: dict[str, Any]) -> Behaviour:
        """Return these switches with those in `data` set; `rules` replaces the whole list."""
        allowed = {"latency_ms", "funds", "webhooks", "rules", "seed"}
        if unknown := set(data) - allowed:
            message = f"Unknown switch '{', '.join(sorted(unknown))}'; known: {sorted(allowed)}."
            raise RuleError(message)
        funds = data.get("funds", self.funds)
        if funds not in FUNDS:
            message = f"Unknown value '{funds}' for 'funds'; it must be one of: {FUNDS}."
            raise RuleError(message)
        rules = self.book.rules
        if "rules" in data:
            rules = [Rule.from_json(rule, KINDS, REFUND_CREATE) for rule in data["rules"]]
        return Behaviour(
            latency_ms=int(data.get("latency_ms", self.latency_ms)),
            funds=funds,
            webhooks=_changed_webhooks(self.webhooks, data.get("webhooks", {})),
            book=RuleBook(rules, int(data.get("seed", self.book.seed))),
        )

    def to_json(self) -> dict[str, Any]:
        """Return what `changed_by` reads."""
        return {
            "latency_ms": self.latency_ms,
            "funds": self.funds,
            "webhooks": asdict(self.webhooks),
            "seed": self.book.seed,
            "rules": [rule.to_json() for rule in self.book.rules],
        }


def _changed_webhooks(settings: WebhookSettings, data: dict[str, Any]) -> WebhookSettings:
    known = {item.name for item in fields(WebhookSettings)}
    if unknown := set(data) - known:
        message = f"Unknown webhook switch '{', '.join(sorted(unknown))}'; known: {sorted(known)}."
        raise RuleError(message)
    return replace(settings, **data)


@dataclass
class NetworkPlan:
    """What goes wrong between the client and the provider for one request, replays included."""

    latency: float = 0.0
    rate_limited: bool = False
    hang: float | None = None
    error_before: int | None = None
    error_after: int | None = None
    silence: float | None = None

    @classmethod
    def draw(cls, behaviour: Behaviour, call: str, subject: str) -> NetworkPlan:
        """Return the plan for one request; seconds for times, HTTP statuses for errors."""
        plan = cls(latency=behaviour.latency_ms / 1000)
        book = behaviour.book
        if not book.rules:
            return plan
        if rule := book.draw("latency", call, subject):
            plan.latency = float(rule.options.get("ms", 0)) / 1000
        if book.draw("rate_limit", call, subject):
            plan.rate_limited = True
            return plan
        if rule := book.draw("hang_before", call, subject):
            plan.hang = float(rule.options.get("seconds", 0))
            return plan
        plan.error_before = _front_error(book, "error_before", call, subject)
        if plan.error_before is None:
            plan.error_after = _front_error(book, "error_after", call, subject)
            if rule := book.draw("timeout_after", call, subject):
                plan.silence = float(rule.options.get("seconds", 0))
        return plan


def stored_error(book: RuleBook, kind: str, call: str, subject: str) -> int | None:
    """Return the status of a failure *inside* the provider: its answer is stored under the key."""
    rule = book.draw(kind, call, subject, _is_stored)
    return None if rule is None else int(rule.options.get("status", 500))


def _front_error(book: RuleBook, kind: str, call: str, subject: str) -> int | None:
    """Return the status of a failure *before* the provider, which stores nothing."""
    rule = book.draw(kind, call, subject, lambda rule: not _is_stored(rule))
    return None if rule is None else int(rule.options.get("status", 503))


def _is_stored(rule: Rule) -> bool:
    """Tell it by `stored`; without that, a 500 is the provider's own and 502 to 504 a proxy's."""
    return bool(rule.options.get("stored", int(rule.options.get("status", 500)) == 500))
