"""Watching a large run: one count for all viewers, and never a step back."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from meet2be.cancellations import services, watching
from meet2be.cancellations.progress import Progress
from meet2be.cancellations.watching import shown_progress
from support.cancelling import Conference
from support.factories import Ticket


@pytest.fixture
def counted(meeting: Conference, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The counts that were made of a run of four, which is taken for a large one."""
    monkeypatch.setattr(watching, "LARGE", 4)
    found: list[str] = []

    def note(*call: Any) -> None:
        if "GROUP BY" in call[2] and "skip_reason" in call[2]:
            found.append(call[2])

    event.listen(meeting.database.engine, "before_cursor_execute", note)
    for _ in range(4):
        meeting.sell(Ticket(price=1_000))
    meeting.confirm(lanes=1)
    yield found
    watching._kept.clear()


def look(meeting: Conference, seen: int = 0) -> Progress:
    with meeting.database.tenant_session(meeting.tenant.id, read_only=True) as session:
        return shown_progress(session, meeting.run(), meeting.clock.now(), seen)


def test_all_who_watch_a_large_run_are_shown_one_count(
    meeting: Conference, counted: list[str]
) -> None:
    first = look(meeting)
    assert (look(meeting), len(counted)) == (first, 1)
    meeting.clock.advance(watching.SHORTEST.total_seconds())
    look(meeting)
    assert len(counted) == 2


def test_a_run_that_is_paused_is_counted_anew(meeting: Conference, counted: list[str]) -> None:
    look(meeting)
    meeting.act(services.pause, meeting.admin)
    assert (look(meeting).state, len(counted)) == ("paused", 2)


def test_who_was_shown_more_is_not_shown_less(meeting: Conference, counted: list[str]) -> None:
    meeting.work(0, chunks=0)
    before = look(meeting)
    meeting.finish()
    with_state = look(meeting)  # its state has changed
    assert with_state.steps > before.steps
    kept = watching._kept[meeting.run_uid]
    kept.progress = before  # as a process has it that counted earlier
    assert look(meeting).steps == before.steps
    assert look(meeting, with_state.steps).steps == with_state.steps
    assert len(counted) == 3


def test_a_small_run_is_counted_each_time(
    meeting: Conference, counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LARGE", 5)
    look(meeting)
    look(meeting)
    assert len(counted) == 2


def test_the_larger_a_run_the_longer_its_count_is_shown_but_for_ten_seconds_at_most(
    meeting: Conference, counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "ITEMS_A_SECOND", 0.1)
    look(meeting)
    meeting.clock.advance(timedelta(seconds=9).total_seconds())
    look(meeting)
    assert len(counted) == 1
    meeting.clock.advance(1)
    look(meeting)
    assert len(counted) == 2
