"""Servers on which contracts must hold."""

from collections.abc import Iterator

import pytest

from support.servers import oldest_redis


@pytest.fixture(scope="session")
def oldest_url() -> Iterator[str]:
    """The address of the oldest server the driver promises to serve."""
    with oldest_redis() as url:
        yield url
