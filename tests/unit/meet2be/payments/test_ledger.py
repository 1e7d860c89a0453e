"""What a refund's state may become."""

from datetime import UTC, datetime, timedelta

import pytest

from meet2be.payments.ledger import (
    Change,
    Standing,
    close,
    follow,
    look_after,
    matching,
    may_repeat,
)
from meet2be.payments.provider import META_REFUND, ProviderRefund, RefundStatus

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def standing(status: str, provider_id: str | None = None) -> Standing:
    return Standing(1, "uid", 7, 100, status, provider_id, None, NOW)


def told(
    amount: int = 100, age: timedelta = timedelta(0), mark: str | None = None
) -> ProviderRefund:
    return ProviderRefund(
        f"re_{amount}", "pi_1", amount, "EUR", "succeeded", "succeeded", NOW - age,
        metadata={META_REFUND: mark} if mark else {},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "word", "after"),
    [
        ("sending", "succeeded", Change("succeeded", -100, 100)),
        ("uncertain", "succeeded", Change("succeeded", -100, 100)),
        ("pending", "succeeded", Change("succeeded", -100, 100)),
        ("sending", "pending", Change("pending", 0, 0)),
        ("sending", "failed", Change("failed", -100, 0)),
        ("pending", "failed", Change("failed", -100, 0)),
        ("succeeded", "failed", Change("failed", 0, -100)),
        ("succeeded", "cancelled", Change("failed", 0, -100)),
    ],
)
def test_the_providers_word_moves_status_and_money(
    before: str, word: RefundStatus, after: Change
) -> None:
    assert follow(standing(before), word) == after


@pytest.mark.parametrize(
    ("before", "word"),
    [
        ("succeeded", "succeeded"),
        ("succeeded", "pending"),
        ("pending", "pending"),
        ("failed", "failed"),
        ("failed", "pending"),
        ("cancelled", "failed"),
    ],
)
def test_old_news_changes_nothing(before: str, word: RefundStatus) -> None:
    assert follow(standing(before), word) is None


def test_a_late_yes_after_the_providers_own_no_is_old_news() -> None:
    assert follow(standing("failed", "re_1"), "succeeded") is None


def test_a_yes_for_a_refund_that_only_we_had_given_up_is_booked() -> None:
    assert follow(standing("failed"), "succeeded") == Change("succeeded", 0, 100)


def test_only_an_open_refund_can_be_closed() -> None:
    assert close(standing("uncertain"), "failed") == Change("failed", -100, 0)
    assert close(standing("succeeded"), "failed") is None
    assert close(standing("pending"), "failed") is None


def test_a_refund_is_known_by_its_mark_and_not_by_its_amount() -> None:
    other, ours = told(100, mark="else"), told(100, mark="uid")
    assert matching("uid", 100, NOW, [other, ours]) is ours
    assert matching("uid", 100, NOW, [other]) is None
    assert matching("uid", 100, NOW, [told(100)]) is None


def test_a_provider_that_loses_marks_is_matched_by_amount_and_time() -> None:
    def found(refund: ProviderRefund, known: frozenset[str] = frozenset()) -> object:
        return matching("uid", 100, NOW, [refund], known, keeps_metadata=False)

    assert found(told(100)) is not None
    assert found(told(99)) is None
    assert found(told(100, timedelta(hours=1))) is None
    assert found(told(100), frozenset({"re_100"})) is None
    assert found(told(100, mark="else")) is None


def test_a_key_is_repeated_only_while_it_is_sure_to_be_known() -> None:
    window = timedelta(hours=24)
    assert may_repeat(NOW, NOW + timedelta(hours=23), window)
    assert not may_repeat(NOW, NOW + timedelta(hours=23, minutes=55), window)
    assert not may_repeat(None, NOW, window)


def test_look_ups_come_at_growing_distances_and_then_a_person_decides() -> None:
    pauses = [look_after(attempt) for attempt in range(1, 13)]
    known = [pause for pause in pauses if pause is not None]
    assert known == sorted(known)
    assert pauses[-1] is None
