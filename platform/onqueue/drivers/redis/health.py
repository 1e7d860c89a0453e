"""Whether jobs would be safe in a server."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from redis.exceptions import ResponseError

from onqueue.drivers.redis.wire import OLDEST, command, server_facts, server_version
from onqueue.errors import BrokerMisconfigured

if TYPE_CHECKING:
    from onqueue.drivers.redis.wire import Broker, Line, Reply

logger = logging.getLogger(__name__)

_UNWRITTEN = (
    "it could not write {what} and takes no more jobs until it can: "
    "look into its log, and at the room on its disk"
)


def check_server(broker: Broker) -> None:
    """Raise `BrokerUnavailable` or `BrokerMisconfigured` when jobs would not be safe.

    What the log-in may not read is not judged; a server that writes nothing to disk is warned of.
    """
    facts, problem = _examine(broker)
    if problem:
        raise BrokerMisconfigured(broker.name, broker.address, problem)
    if facts and facts.get("aof_enabled") != "1":
        logger.warning(
            "the broker of connection %r at %s keeps no append-only file: a crash of it loses "
            "jobs that are not durable (set 'appendonly yes')",
            broker.name,
            broker.address,
        )


def danger_in(broker: Broker) -> str:
    """Return why jobs would not be safe in the server, or it takes none, "" when all is well.

    A full one is no reason for a worker not to start: workers empty it. Nor is one that cannot
    write to its disk: it is waited for.
    """
    facts, problem = _examine(broker)
    return problem or _fullness(facts) or _muteness(facts, broker)


def _examine(broker: Broker) -> tuple[dict[str, str], str | None]:
    info, policy = broker.use(_look)
    facts = {} if isinstance(info, ResponseError) else server_facts(info)
    return facts, _problem(facts, facts.get("maxmemory_policy") or _setting(policy, "noeviction"))


def _look(line: Line, _repeated: bool) -> list[Reply]:  # noqa: FBT001 - see Broker.use
    return line.ask_all(
        [command(b"INFO", b"everything"), command(b"CONFIG", b"GET", b"maxmemory-policy")]
    )


def _fullness(facts: dict[str, str]) -> str:
    """Return what is to be said of a server that refuses to store anything new."""
    most = int(facts.get("maxmemory", 0))
    counted = int(facts.get("used_memory", 0)) - int(facts.get("mem_not_counted_for_evict", 0))
    if not 0 < most < counted:
        return ""
    return (
        f"it is full and takes no more jobs ({counted} bytes used, 'maxmemory' is {most}): "
        "let workers empty it, or give it more"
    )


def _muteness(facts: dict[str, str], broker: Broker) -> str:
    """Return what is to be said of a server that takes nothing as it cannot write to its disk.

    After a snapshot that failed it refuses only where snapshots are taken by themselves, and it is
    set to: `stop-writes-on-bgsave-error` (https://valkey.io/topics/persistence/). Where the log-in
    may not read that, both are taken to be so, as they are unless somebody changed them.
    """
    if facts.get("aof_last_write_status", "ok") != "ok":
        return _UNWRITTEN.format(what="its append-only file")
    if facts.get("rdb_last_bgsave_status", "ok") == "ok":
        return ""
    save, stops = broker.use(_look_at_snapshots)
    if _setting(save, "unknown") and _setting(stops, "yes") == "yes":
        return _UNWRITTEN.format(what="a snapshot")
    return ""


def _look_at_snapshots(line: Line, _repeated: bool) -> list[Reply]:  # noqa: FBT001 - as _look
    names = (b"save", b"stop-writes-on-bgsave-error")
    return line.ask_all([command(b"CONFIG", b"GET", name) for name in names])


def _setting(reply: Reply, unreadable: str) -> str:
    return reply[1].decode() if isinstance(reply, list) and len(reply) > 1 else unreadable


def _problem(facts: dict[str, str], policy: str) -> str | None:
    if facts and server_version(facts) < OLDEST:
        version = facts.get("redis_version", "unknown")
        return f"its version {version} is older than 6.2: use a newer Redis, or Valkey"
    if facts.get("role", "master") != "master":
        return "it is a read-only replica: give the address of the primary"
    if policy != "noeviction":
        return (
            f"'maxmemory-policy' is {policy!r}, which deletes jobs when memory is short: "
            "set it to 'noeviction'"
        )
    return None
