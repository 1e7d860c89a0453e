"""Watches what queues stand on: that a server keeps jobs, and that somebody keeps the schedule.

As with the limits of queues what was told is kept in the broker: of many who watch one tells that
a trouble began, one each reminder, and one that it is over. Whoever watches must not itself be run
by the schedule.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onqueue import events
from onqueue.contracts import Alarm
from onqueue.errors import BrokerFull, BrokerUnavailable
from onqueue.monitor import NEWS, Inspectable, inspection_of
from onqueue.schedule.store import store_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onqueue.connections import QueueManager
    from onqueue.contracts import Inspection
    from onqueue.events import TroubleKind

log = logging.getLogger("onqueue.monitor")

GRACE = 60.0
"""Seconds that a schedule may be without a leader, as it is while its processes are replaced."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A connection as it was found; `why` is "" where nothing is wrong."""

    connection: str
    kind: TroubleKind
    why: str


def watch_servers(
    manager: QueueManager, names: Sequence[str] | None = None, *, remind: float = 0.0
) -> list[Trouble]:
    """Tell by `connection_troubled` where a server does not keep jobs safe; return what was found.

    Of connections that share a server the first stands for all. Without names all that can be
    looked at are. Raises `BrokerUnavailable`, or `UnsupportedByDriver` for a name.
    """
    found: dict[str, Trouble] = {}
    for name in manager.configs if names is None else names:
        queue = manager.connection(name)
        address = queue.config.url or name
        if address in found or (names is None and not isinstance(queue, Inspectable)):
            continue
        inspection = inspection_of(queue, "queue monitor --server")
        trouble = Trouble(queue.name, "server", inspection.danger())
        _tell(trouble, _alarm(inspection, trouble, remind))
        found[address] = trouble
    return list(found.values())


def _alarm(inspection: Inspection, trouble: Trouble, remind: float) -> Alarm:
    """Return whether it is news; where nothing can be written down it is, at each look."""
    try:
        return inspection.alarm("server", on=bool(trouble.why), remind=remind)
    except (BrokerUnavailable, BrokerFull):
        if not trouble.why:
            raise
        return Alarm.GOES_ON  # a replica refuses to be told that it is one, a full server all


def watch_scheduler(
    manager: QueueManager, *, grace: float = GRACE, remind: float = 0.0
) -> Trouble | None:
    """Tell by `connection_troubled` when nobody leads the manager's schedule for `grace` seconds.

    Returns what was found, None where there is no schedule. Raises `BrokerUnavailable`.
    """
    if manager.schedule is None:
        return None
    queue = manager.connection(manager.schedule.connection)
    inspection = inspection_of(queue, "queue monitor --scheduler")
    store = store_of(manager)
    try:
        is_led = bool(store.term().name)
    finally:
        store.close()
    why = "" if is_led else "no process leads the schedule, so nothing of it is dispatched"
    trouble = Trouble(queue.name, "scheduler", why)
    if is_led or _has_lasted(inspection, grace):
        _tell(trouble, inspection.alarm("scheduler", on=not is_led, remind=remind))
    if is_led:
        inspection.alarm("vacancy", on=False)
    return trouble


def _has_lasted(inspection: Inspection, grace: float) -> bool:
    """Tell, to one of all who ask, each time that the vacancy is older by so many seconds."""
    return not grace or inspection.alarm("vacancy", on=True, remind=grace) == Alarm.GOES_ON


def _tell(trouble: Trouble, news: Alarm) -> None:
    if news == Alarm.NOTHING:
        return
    event = events.ConnectionTroubled(trouble.connection, trouble.kind, trouble.why, NEWS[news])
    level = logging.INFO if news == Alarm.OVER else logging.ERROR
    why = event.why or "all is well"
    log.log(level, "connection %s, %s, %s: %s", event.connection, event.kind, event.news, why)
    events.tell(events.connection_troubled, event)
