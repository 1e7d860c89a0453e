"""What a server says of itself, and what is to be said of it."""

from typing import Any, cast

import pytest
from redis.exceptions import ResponseError

from onqueue.drivers.redis.health import danger_in
from onqueue.drivers.redis.wire import Broker

WELL = {"redis_version": "7.2.4", "role": "master", "maxmemory_policy": "noeviction"}
REFUSED = ResponseError("NOPERM this user has no permissions to run the 'config|get' command")


class Told:
    """A broker whose replies are told beforehand, one list a trip."""

    def __init__(self, *trips: list[Any]) -> None:
        self.trips = list(trips)

    def use(self, _look: object) -> list[Any]:
        return self.trips.pop(0)


def danger(facts: dict[str, str], *trips: list[Any]) -> str:
    info = "".join(f"{name}:{value}\r\n" for name, value in {**WELL, **facts}.items()).encode()
    return danger_in(cast("Broker", Told([info, REFUSED], *trips)))


def setting(name: bytes, value: bytes) -> list[bytes]:
    return [name, value]


def test_a_server_that_can_write_is_in_no_danger() -> None:
    assert danger({"aof_last_write_status": "ok", "rdb_last_bgsave_status": "ok"}) == ""


def test_a_server_that_cannot_write_its_append_only_file_takes_no_jobs() -> None:
    said = danger({"aof_last_write_status": "err", "rdb_last_bgsave_status": "ok"})
    assert "could not write its append-only file and takes no more jobs" in said


@pytest.mark.parametrize(
    ("save", "stops", "takes_none"),
    [
        (setting(b"save", b"3600 1"), setting(b"stop", b"yes"), True),
        (setting(b"save", b"3600 1"), setting(b"stop", b"no"), False),
        (setting(b"save", b""), setting(b"stop", b"yes"), False),
        (REFUSED, REFUSED, True),
    ],
    ids=["as it is by itself", "told to go on", "takes no snapshots", "may not be asked"],
)
def test_after_a_snapshot_that_failed_it_depends_on_the_settings(
    save: Any, stops: Any, takes_none: bool
) -> None:
    said = danger({"rdb_last_bgsave_status": "err"}, [save, stops])
    assert ("could not write a snapshot" in said) is takes_none
