"""Words for durations, states and names."""

from datetime import UTC, datetime, timedelta

import pytest

from meet2be.cancellations.models import MAIL_STATES, REFUND_STATES, RUN_STATES
from meet2be.cancellations.planning import (
    ALREADY_REFUNDED,
    DISPUTED,
    FEE_KEPT,
    FREE,
    MANUAL,
    NO_INVOICE,
    NOT_PAID,
    REFUND,
    TEST_MODE,
)
from meet2be.web.cancelling import OUTCOMES as LISTED
from meet2be.web.presentation import (
    CAUSES,
    MAIL_WORDS,
    OUTCOMES,
    STATES,
    badge,
    cause,
    initials,
    mail_badge,
    moments_between,
    spoken_duration,
    to_the_minute,
)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (3, "a few seconds"),
        (47, "about 50 seconds"),
        (180, "about 3 minutes"),
        (7_300, "about 2 hours"),
    ],
)
def test_a_duration_is_spoken_in_rounded_words(seconds: int, words: str) -> None:
    assert spoken_duration(timedelta(seconds=seconds)) == words


def test_an_unknown_duration_is_not_spoken_of() -> None:
    assert spoken_duration(None) == ""


@pytest.mark.parametrize("state", sorted({*RUN_STATES, *REFUND_STATES} - {"preview"}))
def test_every_state_of_runs_and_refunds_has_its_word(state: str) -> None:
    assert state in STATES


def test_sent_accepted_and_done_are_three_different_words() -> None:
    words = {STATES[state][0] for state in ("sending", "sent", "pending", "done", "uncertain")}
    assert len(words) == 5


@pytest.mark.parametrize("state", MAIL_STATES)
def test_every_state_of_a_mail_has_its_word(state: str) -> None:
    assert state in STATES or state in MAIL_WORDS
    assert "_" not in mail_badge(state)


def test_every_outcome_of_a_plan_is_explained_and_listed() -> None:
    known = {REFUND, MANUAL, NO_INVOICE, FREE, NOT_PAID, DISPUTED, ALREADY_REFUNDED, FEE_KEPT,
             TEST_MODE}  # fmt: skip
    assert set(OUTCOMES) == set(LISTED) == known
    assert known - {REFUND, MANUAL} <= set(CAUSES)


def test_an_unknown_cause_is_shown_as_words() -> None:
    assert cause("some_new_code") == "some new code"


def test_a_badge_escapes_what_it_is_given() -> None:
    assert "<b>" not in badge("<b>")


@pytest.mark.parametrize(
    ("name", "letters"), [("Ada Lovelace", "AL"), ("Plato", "P"), ("", "?"), ("=1+1 Bo", "B")]
)
def test_initials_stand_for_a_person(name: str, letters: str) -> None:
    assert initials(name) == letters


def test_an_event_is_toldto_the_minute_in_its_own_zone_and_a_day_once() -> None:
    starts, zone = datetime(2027, 5, 10, 7, tzinfo=UTC), "Europe/Berlin"
    ends = starts + timedelta(hours=8)
    assert moments_between(starts, ends + timedelta(days=2), zone, "en_GB") == (
        "10 May 2027, 09:00 – 12 May 2027, 17:00 (Europe/Berlin)"
    )
    assert moments_between(starts, ends, zone, "de_DE") == (
        "10. Mai 2027, 09:00 – 17:00 (Europe/Berlin)"
    )


@pytest.mark.parametrize(
    ("locale", "shown"),
    [
        ("en_GB", "3 Jan 2026, 09:05"),
        ("en_US", "Jan 3, 2026, 9:05\u202fAM"),
        ("de_DE", "03.01.2026, 09:05"),
    ],
)
def test_a_day_in_a_list_is_taken_for_no_other(locale: str, shown: str) -> None:
    assert to_the_minute(datetime(2026, 1, 3, 9, 5, tzinfo=UTC), locale) == shown
