"""The ledger finds a job that never ran and one that ran twice."""

from pathlib import Path

import pytest

from bench.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.create(tmp_path / "ledger", 4)


def test_nothing_has_run_at_first(ledger: Ledger) -> None:
    assert ledger.done() == 0
    assert ledger.at(3) == 0.0
    assert ledger.faults() == (4, 0)


def test_what_another_process_notes_is_seen(ledger: Ledger) -> None:
    other = Ledger(ledger.path, ledger.size)
    other.note(2)
    assert ledger.done() == 1
    assert ledger.at(2) > 0.0


def test_a_lost_job_and_one_that_ran_twice_are_told_apart(ledger: Ledger) -> None:
    for number in (0, 1, 1, 3):
        ledger.note(number)
    assert ledger.faults() == (1, 1)


def test_only_the_jobs_asked_for_count(ledger: Ledger) -> None:
    ledger.note(0)
    ledger.note(2)
    assert ledger.done(1, 4) == 1
    assert ledger.faults(0, 1) == (0, 0)


def test_a_job_that_runs_very_often_is_still_a_fault(ledger: Ledger) -> None:
    for _ in range(300):
        ledger.note(0)
    assert ledger.faults(0, 1) == (0, 1)
