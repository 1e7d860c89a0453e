"""Typed clients of the simulators' helper calls, for tests and the demo."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Json = dict[str, Any]


class ControlError(RuntimeError):
    """A simulator refused a helper call; the text is its own answer."""


class _Control:
    """A JSON client of one simulator's helper calls."""

    def __init__(self, url: str, timeout: float = 30.0) -> None:
        """Talk to the simulator at `url`; a call may take `timeout` seconds."""
        self.url = url.rstrip("/")
        self._timeout = timeout

    def _call(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - the address is the caller's own
            self.url + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:  # noqa: S310
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode(errors="replace")
            message = f"{method} {path} was answered {error.code}: {text}"
            raise ControlError(message) from error


class ProviderControl(_Control):
    """The helper calls of the simulated payment provider."""

    def create_payments(self, payments: Sequence[Mapping[str, Any]]) -> list[Json]:
        """Create paid payments in bulk and return ref, payment_intent, charge of each.

        Items: amount (minor units), currency; if wanted ref, payment_intent, charge, refunded,
        disputed, metadata, account.
        """
        result: list[Json] = self._call("POST", "/_sim/payments", list(payments))
        return result

    def create_payment(self, amount: int, currency: str = "eur", **more: object) -> str:
        """Create one paid payment and return its payment intent's id."""
        created = self.create_payments([{"amount": amount, "currency": currency, **more}])
        return str(created[0]["payment_intent"])

    def behaviour(self) -> Json:
        """Return the switches in force."""
        return self._json("GET", "/_sim/behaviour")

    def behave(self, **switches: object) -> Json:
        """Set switches (latency_ms, funds, webhooks, rules, seed) and return all of them."""
        return self._json("PUT", "/_sim/behaviour", switches)

    def rule(self, kind: str, **options: object) -> Json:
        """Add one rule, such as `rule("timeout_after", times=1, subject="pi_…")`."""
        rules = [*self.behaviour()["rules"], {"kind": kind, **options}]
        return self.behave(rules=rules)

    def behave_well(self) -> Json:
        """Take every switch back but the webhooks' address and secret."""
        return self._json("DELETE", "/_sim/behaviour")

    def set_balance(self, currency: str, available: int, account: str = "") -> Json:
        """Set what is available, in minor units; refunds waiting for it are paid."""
        body = {"currency": currency, "available": available, "account": account}
        return self._json("PUT", "/_sim/balance", body)

    def advance_clock(self, seconds: float) -> float:
        """Move the provider's clock forward and return its time."""
        body = {"advance_seconds": seconds}
        return float(self._json("POST", "/_sim/clock", body)["now"])

    def settle(
        self, refund: str, status: str = "succeeded", failure_reason: str | None = None
    ) -> Json:
        """Settle a pending refund, or fail one that had succeeded; return the refund."""
        body = {"status": status, "failure_reason": failure_reason}
        return self._json("POST", f"/_sim/refunds/{quote(refund)}/settle", body)

    def settle_payment(self, payment_intent: str, status: str = "succeeded") -> Json:
        """End a payment that waits: `succeeded`, `requires_payment_method` or `canceled`."""
        path = f"/_sim/payments/{quote(payment_intent)}/settle"
        return self._json("POST", path, {"status": status})

    def pay_page(self, session: str, card: str = "accepted") -> Json:
        """Pay on the hosted page: `accepted`, `declined` (raises) or `bank` (takes its time)."""
        return self._json("POST", f"/_sim/pages/{quote(session)}/pay", {"card": card})

    def dispute(self, payment_intent: str, reason: str = "fraudulent") -> Json:
        """Have the buyer dispute a payment and return the dispute."""
        path = f"/_sim/payments/{quote(payment_intent)}/dispute"
        return self._json("POST", path, {"reason": reason})

    def dashboard_refund(self, payment_intent: str, amount: int | None = None) -> Json:
        """Refund outside the API, as a person at the dashboard would; return the refund."""
        path = f"/_sim/payments/{quote(payment_intent)}/refund"
        return self._json("POST", path, {"amount": amount})

    def resend(self, event: str) -> None:
        """Send an event's webhook once more."""
        self._call("POST", f"/_sim/events/{quote(event)}/resend", {})

    def ledger(self) -> Json:
        """Return the whole ledger: `charges`, `refunds` and everything of `summary`."""
        return self._json("GET", "/_sim/ledger")

    def summary(self) -> Json:
        """Return counts and sums: payments, refunds by currency, balances, calls."""
        return self._json("GET", "/_sim/ledger/summary")

    def healthy(self) -> bool:
        """Tell whether the provider answers."""
        try:
            return bool(self._json("GET", "/_sim/health")["ok"])
        except (OSError, ControlError):
            return False

    def _json(self, method: str, path: str, body: object = None) -> Json:
        result: Json = self._call(method, path, body)
        return result


@dataclass(frozen=True)
class ReceivedMail:
    """One message as the mail sink stored it; `number` is the order of arrival."""

    number: int
    received: float
    mail_from: str
    recipients: list[str]
    message_id: str | None
    subject: str
    to: str
    headers: dict[str, str]
    size: int


class MailSinkControl(_Control):
    """The helper calls of the mail sink, on its control port."""

    def messages(
        self, recipient: str | None = None, after: int = 0, limit: int = 100_000
    ) -> list[ReceivedMail]:
        """Return what was received, oldest first."""
        query: dict[str, object] = {"after": after, "limit": limit}
        if recipient is not None:
            query["recipient"] = recipient
        found = self._call("GET", f"/messages?{urlencode(query)}")
        return [ReceivedMail(**item) for item in found]

    def body(self, number: int) -> bytes:
        """Return a message's bytes as received."""
        with urllib.request.urlopen(  # noqa: S310 - the address is the caller's own
            f"{self.url}/messages/{number}/raw", timeout=self._timeout
        ) as answer:
            content: bytes = answer.read()
            return content

    def summary(self) -> Json:
        """Return counts: received, distinct and repeated Message-IDs, per recipient, refusals."""
        result: Json = self._call("GET", "/summary")
        return result

    def behaviour(self) -> Json:
        """Return the switches in force."""
        result: Json = self._call("GET", "/behaviour")
        return result

    def behave(self, **switches: object) -> Json:
        """Set switches (rules, seed) and return all of them."""
        result: Json = self._call("PUT", "/behaviour", switches)
        return result

    def rule(self, kind: str, **options: object) -> Json:
        """Add one rule, such as `rule("refuse", subject="*@gone.example")`."""
        return self.behave(rules=[*self.behaviour()["rules"], {"kind": kind, **options}])

    def behave_well(self) -> Json:
        """Take every switch back."""
        return self.behave(rules=[])

    def clear(self) -> None:
        """Forget every message."""
        self._call("DELETE", "/messages")

    def healthy(self) -> bool:
        """Tell whether the mail sink answers."""
        try:
            return bool(self._call("GET", "/health")["ok"])
        except (OSError, ControlError):
            return False
