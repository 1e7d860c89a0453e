"""The fixtures themselves: every test begins with an empty server."""

import psycopg
import pytest
import redis

from support.servers import PostgresServer, missing


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_finds_an_empty_broker(redis_url: str, turn: int) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left", turn)


@pytest.mark.postgres
@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_finds_an_empty_database(postgres_url: str, turn: int) -> None:
    address = postgres_url.replace("+psycopg", "")
    with psycopg.connect(address) as connection:
        tables = connection.execute("SELECT * FROM pg_tables WHERE schemaname = 'public'")
        assert tables.fetchall() == []
        connection.execute("CREATE TABLE left_behind (turn integer)")


@pytest.mark.postgres
def test_the_database_s_files_are_closed_to_others(postgres_server: PostgresServer) -> None:
    assert postgres_server.directory.stat().st_mode & 0o077 == 0


def test_a_missing_server_fails_where_nothing_may_be_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="No PostgreSQL"):
        missing("No PostgreSQL.")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="No PostgreSQL"):
        missing("No PostgreSQL.")
