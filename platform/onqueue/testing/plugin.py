"""What `pip install onqueue` brings to pytest: fixtures around the fakes.

The fixtures are `queue_fake`, `bus_fake` and `fake_clock`; each test has its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from onqueue.testing.bus_fake import bus_fake as faked_bus
from onqueue.testing.clock import FakeClock
from onqueue.testing.queue_fake import queue_fake as faked_queue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onqueue.testing.bus_fake import BusFake
    from onqueue.testing.queue_fake import QueueFake


@pytest.fixture
def queue_fake() -> Iterator[QueueFake]:
    """Keep all jobs that are dispatched in the test, to be asserted on."""
    with faked_queue() as fake:
        yield fake


@pytest.fixture
def bus_fake() -> Iterator[BusFake]:
    """Keep all jobs, chains and batches that are dispatched in the test."""
    with faked_bus() as fake:
        yield fake


@pytest.fixture
def fake_clock() -> FakeClock:
    """Return a clock that only the test moves."""
    return FakeClock()
