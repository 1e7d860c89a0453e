"""The demo's verdict finds what is off in the ledgers of others."""

from collections import Counter
from typing import Any

import pytest

from demo.expectation import Expectation
from demo.verdict import CANCELLATION_KIND, Verdict, conclude, judge_mails, judge_refunds
from simulators.control import ReceivedMail

PAYMENTS = {"pi_1": "A", "pi_2": "A", "pi_3": "B"}
EXPECTED = Expectation(
    attendees=3,
    refunds={"A": 1_500, "B": 700},
    mails=Counter({"ada@firma.example": 2, "bo@münchen.example": 1}),
)
RIGHT = (("pi_1", 1_000), ("pi_2", 500), ("pi_3", 700))
TOLD = ("ada@firma.example", "ada@firma.example", "bo@xn--mnchen-3ya.example")


def ledger(refunds: tuple[tuple[str, int], ...]) -> dict[str, Any]:
    """Return the provider's ledger with these refunds of payments."""
    sums = Counter[str]()
    for payment, amount in refunds:
        sums[payment] += amount
    return {
        "charges": [
            {"payment_intent": payment, "metadata": {"order": order}, "refunded": sums[payment]}
            for payment, order in PAYMENTS.items()
        ],
        "refunds": [
            {
                "payment_intent": payment,
                "amount": amount,
                "status": "succeeded",
                "metadata": {"m2b_refund": f"r{number}"},
            }
            for number, (payment, amount) in enumerate(refunds)
        ],
    }


def problems(
    refunds: tuple[tuple[str, int], ...] = RIGHT,
    told: tuple[str, ...] = TOLD,
    state: str = "done",
    uncertain_mails: int = 0,
) -> list[str]:
    """Return what the verdict finds wrong."""
    verdict = Verdict(run_state=state, uncertain_mails=uncertain_mails)
    judge_refunds(verdict, EXPECTED, ledger(refunds), dict.fromkeys(PAYMENTS, 0))
    received = [mail(number, address) for number, address in enumerate(told)]
    judge_mails(verdict, EXPECTED, received)
    conclude(verdict)
    return verdict.problems


def mail(number: int, address: str) -> ReceivedMail:
    return ReceivedMail(
        number=number,
        received=0.0,
        mail_from="events@meet2be.example",
        recipients=[address],
        message_id=f"<{number}@meet2be.example>",
        subject="",
        to=address,
        headers={"X-Meet2Be-Kind": CANCELLATION_KIND},
        size=1,
    )


def test_an_order_of_two_payments_is_refunded_with_two_refunds() -> None:
    assert problems() == []


@pytest.mark.parametrize(
    ("refunds", "found"),
    [
        (RIGHT[1:], ["1 refunds are of a wrong amount", "1,000 minor units differ"]),
        (RIGHT[:2], ["1 refunds are missing", "700 minor units differ"]),
        (
            (*RIGHT, RIGHT[2]),
            [
                "1 refunds were made twice",
                "1 refunds are of a wrong amount",
                "-700 minor units differ",
            ],
        ),
        ((*RIGHT[:2], ("pi_3", 699)), ["1 refunds are of a wrong amount", "1 minor units differ"]),
    ],
    ids=["half an order", "an order missing", "twice", "a cent too little"],
)
def test_money_that_is_off_is_found(refunds: tuple[tuple[str, int], ...], found: list[str]) -> None:
    assert problems(refunds=refunds) == found


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (TOLD[1:], ["1 mails are missing"]),
        ((*TOLD, TOLD[2]), ["1 mails were received twice"]),
        ((*TOLD, "eve@firma.example"), ["1 mails went to somebody who is no attendee"]),
    ],
    ids=["missing", "twice", "a stranger"],
)
def test_mails_that_are_off_are_found(told: tuple[str, ...], found: list[str]) -> None:
    assert problems(told=told) == found


def test_a_mail_that_is_missing_may_be_uncertain_and_a_run_must_have_ended() -> None:
    assert problems(told=TOLD[1:], uncertain_mails=1) == []
    assert problems(state="paused") == ["the run ended as 'paused'"]
