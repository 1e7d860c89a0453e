"""A connection that a test leaves open fails that test and names the line that made it."""

import pytest
from sqlalchemy import create_engine, text

from support.connections import none_left_open

pytestmark = pytest.mark.postgres


def test_a_connection_that_is_left_open_is_named_and_closed(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = create_engine(postgres_url)
    watched = none_left_open(monkeypatch)
    watched.__enter__()
    with engine.connect() as connection:
        kept = connection.connection.driver_connection
    assert kept is not None and not kept.closed
    with pytest.raises(AssertionError, match=r"1 connection.*unit/support/test_connections.py:\d+"):
        watched.__exit__(None, None, None)
    assert kept.closed
    engine.dispose()


def test_what_is_closed_is_not_spoken_of(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with none_left_open(monkeypatch):
        engine = create_engine(postgres_url)
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT 1")) == 1
        engine.dispose()
