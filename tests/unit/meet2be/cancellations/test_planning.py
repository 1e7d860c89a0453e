"""The arithmetic of a cancellation."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meet2be.cancellations.errors import BadCancelOptions
from meet2be.cancellations.options import CancelOptions
from meet2be.cancellations.planning import Line, PaidWith, PlannedItem, Rules, capped, plan
from meet2be.cancellations.totals import Totals, counted
from meet2be.integrations.stripe_amounts import is_payable


def paid(
    amount: int, taken: int = 0, status: str = "succeeded", currency: str = "EUR", number: int = 1
) -> PaidWith:
    return PaidWith(number, status, amount, taken, currency, "stripe:", test_mode=False)


def line(price: int, payment: PaidWith | None, refunded: int = 0, number: int = 1) -> Line:
    return Line(
        attendee_id=number,
        order_id=1,
        invoice_id=1 if price else None,
        name="Ada",
        email="ada@example.org",
        locale="en-GB",
        price_minor=price,
        refunded_minor=refunded,
        currency="EUR",
        payment=payment,
    )


def planned(lines: Sequence[Line], options: CancelOptions | None = None) -> list[PlannedItem]:
    return list(plan(lines, Rules(options or CancelOptions(), "EUR", test_mode=False)))


def percent(points: int) -> CancelOptions:
    return CancelOptions(fee_kind="percent", fee_basis_points=points)


def test_without_a_fee_everything_that_is_left_goes_back() -> None:
    payment = paid(60_000, 10_000)
    items = planned([line(40_000, payment, 10_000), line(20_000, payment)])
    assert [item.planned_minor for item in items] == [30_000, 20_000]
    assert {item.unit for item in items} == {0}


def test_a_fixed_fee_is_kept_for_each_attendee_and_never_more_than_is_left() -> None:
    options = CancelOptions(fee_kind="fixed", fee_minor=1_500)
    payment = paid(21_000)
    items = planned([line(20_000, payment), line(1_000, payment)], options)
    assert [(item.planned_minor, item.kept_minor) for item in items] == [
        (18_500, 1_500),
        (0, 1_000),
    ]
    assert items[1].outcome == "fee_kept"


def test_a_fixed_fee_in_the_events_currency_is_not_kept_of_another_one() -> None:
    options = CancelOptions(fee_kind="fixed", fee_minor=1_500)
    [item] = planned([line(20_000, paid(20_000, currency="JPY"))], options)
    assert item.planned_minor == 20_000


def test_the_last_line_takes_what_rounding_leaves() -> None:
    payment = paid(9_999)
    items = planned(
        [line(3_333, payment), line(3_333, payment), line(3_333, payment)], percent(1_000)
    )
    assert [item.kept_minor for item in items] == [333, 333, 334]
    assert sum(item.planned_minor for item in items) == 9_999 - 1_000


def test_amounts_with_three_decimals_stay_payable() -> None:
    [item] = planned([line(12_340, paid(12_340, currency="KWD"))], percent(333))
    assert item.planned_minor % 10 == 0


@pytest.mark.parametrize(
    ("prices", "currency", "outcome"),
    [
        ([249_005], "KWD", "manual"),
        ([249_010], "KWD", "refund"),
        ([249_005, 10_005], "KWD", "refund"),
        ([249_005, 10_000], "KWD", "manual"),
        ([249_005], "EUR", "refund"),
    ],
)
def test_what_a_card_cannot_be_paid_back_exactly_is_planned_by_hand(
    prices: list[int], currency: str, outcome: str
) -> None:
    payment, totals = paid(sum(prices), currency=currency), Totals()
    lines = [line(price, payment, number=n) for n, price in enumerate(prices, 1)]
    assert [item.outcome for item in counted(planned(lines), totals)] == [outcome] * len(prices)
    sums = {"refund": totals.refund_minor, "manual": totals.manual_minor}
    assert sums.pop(outcome) == {currency: sum(prices)}
    assert sums == {"manual" if outcome == "refund" else "refund": {}}
    by_card = is_payable(sum(prices), currency)
    assert by_card == (outcome == "refund")  # as the provider is asked, or not


def test_what_the_payment_has_left_caps_the_lines_from_the_last_one_on() -> None:
    payment = paid(30_000, 25_000)
    items = planned([line(10_000, payment), line(20_000, payment)])
    assert [item.planned_minor for item in items] == [5_000, 0]
    assert [item.outcome for item in items] == ["refund", "already_refunded"]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("disputed", "disputed"), ("pending", "not_paid"), ("failed", "not_paid")],
)
def test_a_payment_that_cannot_be_refunded_says_why(status: str, outcome: str) -> None:
    [item] = planned([line(10_000, paid(10_000, status=status))])
    assert (item.planned_minor, item.outcome) == (0, outcome)


def test_manual_mode_plans_the_same_amounts_for_the_organisers_list() -> None:
    [item] = planned([line(10_000, paid(10_000))], CancelOptions(refund_mode="manual"))
    assert (item.planned_minor, item.outcome) == (10_000, "manual")


def test_units_are_dense_and_a_payment_is_one() -> None:
    first, second = paid(2_000, number=1), paid(1_000, number=2)
    lines = [
        line(1_000, first),
        line(1_000, first),
        line(1_000, second),
        line(0, None),
        line(0, None),
    ]
    assert [item.unit for item in planned(lines)] == [0, 0, 1, 2, 3]


@given(
    tickets=st.lists(
        st.tuples(st.integers(1, 100_000), st.integers(0, 100)), min_size=1, max_size=8
    ),
    points=st.integers(0, 10_000),
    taken=st.integers(0, 50_000),
)
def test_no_plan_gives_back_more_than_there_is(
    tickets: list[tuple[int, int]], points: int, taken: int
) -> None:
    payment = paid(sum(price for price, _ in tickets), taken)
    lines = [line(price, payment, price * part // 100) for price, part in tickets]
    items = planned(lines, percent(points))
    assert sum(item.planned_minor for item in items) <= max(0, payment.amount_minor - taken)
    for item in items:
        assert item.planned_minor >= 0
        assert (
            item.planned_minor + item.kept_minor + item.line.refunded_minor <= item.line.price_minor
        )


@given(st.lists(st.integers(0, 1_000)), st.integers(-100, 5_000))
def test_capped_amounts_fit_and_none_grows(amounts: list[int], left: int) -> None:
    result = capped(amounts, left)
    assert sum(result) == min(sum(amounts), max(0, left))
    assert all(0 <= new <= old for new, old in zip(result, amounts, strict=True))


def test_options_report_everything_that_is_wrong_at_once() -> None:
    with pytest.raises(BadCancelOptions) as refused:
        CancelOptions(fee_minor=-1, fee_basis_points=10_001, message="x" * 5_001)
    assert len(refused.value.problems) == 3


def test_options_come_back_from_their_stored_form() -> None:
    options = CancelOptions(fee_kind="fixed", fee_minor=5, message="Sorry", reason="Storm")
    assert CancelOptions.from_json({**options.to_json(), "dropped_later": 1}) == options
