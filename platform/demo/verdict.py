"""Holding what the provider and the mail sink have against what should be there."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from typing import Any

from demo.expectation import Expectation
from demo.office_verdict import OfficeVerdict
from simulators.control import ReceivedMail

CANCELLATION_KIND = "event_cancelled"


@dataclass(slots=True)
class Verdict:
    """The figures of one demo, each counted outside the application."""

    attendees: int = 0
    refunds_expected: int = 0
    refunds_made: int = 0
    refunds_made_twice: int = 0
    refunds_missing: int = 0
    refunds_of_wrong_amount: int = 0
    amount_expected_minor: int = 0
    amount_refunded_minor: int = 0
    mails_expected: int = 0
    mails_received: int = 0
    mails_received_twice: int = 0
    mails_missing: int = 0
    mails_to_strangers: int = 0
    uncertain_refunds: int = 0
    uncertain_mails: int = 0
    workers_killed: int = 0
    not_refunded: dict[str, int] = field(default_factory=dict)
    without_address: int = 0
    run_state: str = ""
    seconds: float = 0.0
    processor_ms: dict[str, float] = field(default_factory=dict)
    office: OfficeVerdict = field(default_factory=OfficeVerdict)
    problems: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether everything is as it should be."""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """Return the figures for ``var/demo/report.json``."""
        return {"ok": self.is_good, **asdict(self)}


def judge_refunds(
    verdict: Verdict, expected: Expectation, ledger: dict[str, Any], refunded_before: dict[str, int]
) -> None:
    """Fill in the refunds; ``refunded_before``: what each payment had back before the run."""
    order_of = {
        charge["payment_intent"]: charge["metadata"].get("order", "")
        for charge in ledger["charges"]
    }
    made: dict[str, list[int]] = defaultdict(list)
    times: Counter[str] = Counter()  # by payment: an order may have several, each refunded once
    for refund in ledger["refunds"]:
        if refund["status"] in {"succeeded", "pending"} and refund["metadata"].get("m2b_refund"):
            made[order_of[refund["payment_intent"]]].append(refund["amount"])
            times[refund["payment_intent"]] += 1
    verdict.refunds_expected = len(expected.refunds)
    verdict.refunds_made = sum(len(amounts) for amounts in made.values())
    verdict.refunds_made_twice = sum(number - 1 for number in times.values())
    verdict.refunds_missing = len(expected.refunds.keys() - made.keys())
    verdict.refunds_of_wrong_amount = sum(
        sum(amounts) != expected.refunds.get(order, 0) for order, amounts in made.items()
    )
    verdict.amount_expected_minor = expected.refunded_minor
    refunded_now = sum(charge["refunded"] for charge in ledger["charges"])
    verdict.amount_refunded_minor = refunded_now - sum(refunded_before.values())


def judge_mails(verdict: Verdict, expected: Expectation, received: list[ReceivedMail]) -> None:
    """Fill in the mails that told people of the cancellation."""
    told = [mail for mail in received if mail.headers.get("X-Meet2Be-Kind") == CANCELLATION_KIND]
    ids = Counter(mail.message_id for mail in told)
    addresses = Counter(recipient for mail in told for recipient in mail.recipients)
    wanted = Counter({_ascii(address): n for address, n in expected.mails.items()})
    got = Counter({_ascii(address): n for address, n in addresses.items()})
    verdict.mails_expected = wanted.total()
    verdict.mails_received = len(told)
    strangers = sum(n for address, n in got.items() if address not in wanted)
    too_many = (got - wanted).total() - strangers
    verdict.mails_received_twice = sum(n - 1 for n in ids.values()) + too_many
    verdict.mails_missing = (wanted - got).total()
    verdict.mails_to_strangers = strangers


def conclude(verdict: Verdict) -> None:
    """Say what is off, in words."""
    checks = (
        (verdict.refunds_missing, "refunds are missing"),
        (verdict.refunds_made_twice, "refunds were made twice"),
        (verdict.refunds_of_wrong_amount, "refunds are of a wrong amount"),
        (verdict.amount_expected_minor - verdict.amount_refunded_minor, "minor units differ"),
        (verdict.uncertain_refunds, "refunds are uncertain"),
        (verdict.mails_received_twice, "mails were received twice"),
        (verdict.mails_to_strangers, "mails went to somebody who is no attendee"),
        (max(0, verdict.mails_missing - verdict.uncertain_mails), "mails are missing"),
    )
    verdict.problems += [f"{number:,} {words}" for number, words in checks if number]
    if verdict.run_state not in {"done", "done_with_errors"}:
        verdict.problems.append(f"the run ended as '{verdict.run_state}'")


def _ascii(address: str) -> str:
    """Return the form in which an address went over the wire (RFC 5891 for its domain)."""
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.encode('idna').decode()}" if not domain.isascii() else address
