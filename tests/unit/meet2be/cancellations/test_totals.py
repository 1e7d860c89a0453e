"""What a plan adds up to."""

from collections.abc import Sequence
from typing import Any

from meet2be.cancellations.options import CancelOptions
from meet2be.cancellations.planning import Line, PaidWith, Rules, plan
from meet2be.cancellations.totals import Totals, counted, digest_of

RULES = Rules(CancelOptions(fee_kind="fixed", fee_minor=500), "EUR", test_mode=False)


def paid(number: int, amount: int, **other: Any) -> PaidWith:
    given: dict[str, Any] = {"status": "succeeded", "taken_minor": 0, "currency": "EUR", **other}
    return PaidWith(number, amount_minor=amount, account="stripe:", test_mode=False, **given)


def line(price: int, payment: PaidWith | None, refunded: int = 0, **other: Any) -> Line:
    given: dict[str, Any] = {"email": "ada@example.org", "currency": "EUR", **other}
    return Line(1, 1, 1, "Ada", locale="en", price_minor=price, refunded_minor=refunded,
                payment=payment, **given)  # fmt: skip


def added_up(lines: Sequence[Line]) -> Totals:
    totals = Totals()
    for _ in counted(plan(lines, RULES), totals):
        pass
    return totals


def test_a_plan_is_added_up_by_outcome_and_currency() -> None:
    two, yen = paid(1, 4_000), paid(2, 900, currency="JPY")
    totals = added_up(
        [
            line(2_000, two, checked_in=True), line(2_000, two), line(900, yen, email=None),
            line(700, paid(3, 700, status="disputed")), line(0, None), line(0, None),
        ]
    )  # fmt: skip
    assert totals.outcomes == {"refund": 3, "disputed": 1, "free": 2}
    assert totals.refund_minor == {"EUR": 3_000, "JPY": 900}
    assert {name: kept for name, kept in totals.kept_minor.items() if kept} == {"EUR": 1_000}
    assert (totals.attendees, totals.payments) == (6, 2)
    assert (totals.checked_in, totals.without_email) == (1, 1)
    assert totals.accounts == {"stripe:"}


def test_what_came_in_elsewhere_is_paid_by_hand_and_needs_no_account() -> None:
    elsewhere = paid(1, 2_000)._replace(account="outside:")
    totals = added_up([line(2_000, elsewhere), line(3_000, paid(2, 3_000))])
    assert totals.outcomes == {"manual": 1, "refund": 1}
    assert (totals.manual_minor, totals.refund_minor) == ({"EUR": 1_500}, {"EUR": 2_500})
    assert (totals.payments, totals.accounts) == (1, {"stripe:"})


def test_units_that_are_alike_are_counted_together() -> None:
    one, many = Totals(), Totals()
    [item] = plan([line(2_000, paid(1, 2_000), email=None)], RULES)
    for _ in range(3):
        one.add(item.line.payment, [item.line], [item])
    many.add(item.line.payment, [item.line], [item], times=3)
    many.fingerprint = one.fingerprint
    assert one == many


def test_the_hash_depends_on_payments_and_amounts_only() -> None:
    def digest(lines: Sequence[Line]) -> str:
        return added_up(lines).fingerprint.digest()

    payment = paid(1, 2_000)
    base = [line(1_000, payment), line(1_000, payment)]
    assert digest(base) == digest([*base, line(0, None)])
    assert digest(base) == digest_of([(1, 500), (1, 500)])
    assert digest(base) != digest([line(1_000, payment)])
    assert digest(base) != digest([line(1_000, payment), line(1_000, payment, refunded=1)])


def test_the_hash_stays_what_it_was() -> None:
    """Previews that were stored by an earlier release can be confirmed."""
    amounts = [(7, 1_000), (7, 250), (12, 0), (13, 99)]
    assert digest_of(amounts) == (
        "88ff9d07b0b1235f202922b3a03654b1d6090653ed861fdc941132466eb42602"
    )
