"""A rig on the run's Valkey for the tests of the Redis driver."""

from collections.abc import Iterator

import pytest

from support.redis_rig import Rig, rig


@pytest.fixture
def broker(redis_url: str) -> Iterator[Rig]:
    """A connection on an empty server."""
    with rig(redis_url) as made:
        yield made
