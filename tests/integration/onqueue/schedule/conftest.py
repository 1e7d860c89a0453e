"""A schedule on the broker of the test run."""

from collections.abc import Iterator

import pytest

from support.schedule_rig import ScheduleRig, schedule_rig


@pytest.fixture
def rig(redis_url: str) -> Iterator[ScheduleRig]:
    with schedule_rig(redis_url) as made:
        yield made
