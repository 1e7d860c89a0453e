"""A child's loop for each test."""

import pytest

from support.child_loop import Bench
from support.loop_jobs import RUNS


@pytest.fixture(autouse=True)
def _no_runs() -> None:
    RUNS.clear()


@pytest.fixture
def bench() -> Bench:
    """A loop with a broker and a clock of its own."""
    return Bench()
