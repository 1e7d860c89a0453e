"""What the page of health says of the broker."""

from pathlib import Path

import redis

from meet2be.db import Database
from onqueue.testing.clock import FakeClock
from support.servers import private_valkey
from support.web import web_on


def test_a_full_broker_and_one_that_is_away_are_not_well(
    sqlite_database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    with (
        private_valkey(appendfsync="no") as server,
        redis.Redis.from_url(server.url) as client,
        web_on(sqlite_database, clock, tmp_path, REDIS_URL=server.url) as web,
    ):
        assert web.anybody().get("/health").json == {"database": True, "broker": True}
        client.config_set("maxmemory", 1)
        refused = web.anybody().get("/health")
        assert refused.status_code == 503
        assert refused.json == {"database": True, "broker": False}
        client.config_set("maxmemory", 0)
        assert web.anybody().get("/health").status_code == 200
        server.stop()
        assert web.anybody().get("/health").status_code == 503
