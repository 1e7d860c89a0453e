"""A schedule's store in Redis: who leads, what was settled, pauses, orders and the history."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from onqueue.drivers.redis.keys import bulk
from onqueue.drivers.redis.waiting import Waiting
from onqueue.drivers.redis.wire import command, packed
from onqueue.ticks import (
    KEPT_RECORDS,
    EntryState,
    OpenTick,
    Pause,
    RunOrder,
    ScheduleState,
    Settled,
    Term,
    TickRecord,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from onqueue.config import ConnectionConfig
    from onqueue.drivers.redis.scripts import Call
    from onqueue.drivers.redis.wire import Broker, Reply
    from onqueue.ticks import Settlement

ALL = b"*"
FIELDS = tuple(map(bulk, (b"last", b"job", b"held", b"opened")))
_FIRST, _LAST, _ONE = bulk(b"0"), bulk(b"-1"), bulk(b"1")


class RedisSchedules:
    """The store of one connection's schedule; only `wait` is for one thread at a time."""

    def __init__(self, broker: Broker, config: ConnectionConfig) -> None:
        """Use a broker of its own; connects when first used."""
        self._broker = broker
        self._config = config
        self._keys = broker.keys
        self._scripts = broker.scripts
        self._line = broker.line()
        self._waits = {
            True: Waiting(broker, self._line, [self._keys.schedule.bell]),
            False: Waiting(broker, self._line, [self._keys.schedule.vacancy]),
        }

    # ---- leading ----

    def lead(self, token: str, lease: float, name: str) -> Term:
        """Take or renew the leadership for so many seconds, unless another process has it."""
        reply = self._broker.run(self._scripts.lead(token.encode(), lease, name.encode()))
        leads, now, left, leader = reply
        return Term(leads == 1, now, left / 1000, leader.decode())

    def resign(self, token: str) -> None:
        """Give the leadership up and wake a process that waits for it."""
        self._broker.run(self._scripts.lead(token.encode(), 0, b""))

    def term(self) -> Term:
        """Return who leads, taking nothing; `leads` is False."""
        keys = self._keys.schedule
        (until, name), time = self._broker.ask(
            packed(b"HMGET", keys.leader, bulk(b"until"), bulk(b"name")), command(b"TIME")
        )
        now = self._now(time)
        left = (int(until) - now) / 1000 if until else 0.0
        return Term(False, now, max(0.0, left), name.decode() if name and left > 0 else "")

    # ---- ticks ----

    def look(self, entries: Sequence[str]) -> ScheduleState:
        """Return what is known of these entries, and all pauses and orders."""
        keys = self._keys.schedule
        states = (packed(b"HMGET", self._keys.schedule_entry(name)[0], *FIELDS) for name in entries)
        time, paused, orders, *found = self._broker.ask(
            command(b"TIME"),
            packed(b"HGETALL", keys.paused),
            packed(b"HGETALL", keys.orders),
            *states,
        )
        return ScheduleState(
            {name: _state(reply) for name, reply in zip(entries, found, strict=True)},
            dict(_pauses(paused, self._now(time))),
            sorted(_orders(orders), key=lambda order: (order.at, order.id)),
        )

    def settle(self, token: str, settlement: Settlement) -> Settled:
        """Make the change if `token` leads and the guard holds."""
        return Settled(self._broker.run(self._tick(token.encode(), settlement)))

    def _tick(self, token: bytes, settlement: Settlement) -> Call:
        message = settlement.message
        return self._scripts.tick(
            token,
            settlement.entry,
            (settlement.guard.kind.encode(), settlement.guard.value.encode()),
            job=(message.id.encode(), message.payload) if message else None,
            queue=self._keys.queue(message.queue if message else self._config.queue),
            changes=_changes(settlement),
            records=[record.to_json().encode() for record in settlement.records],
            keep=KEPT_RECORDS,
        )

    # ---- what operators ask for ----

    def order(self, entry: str) -> str:
        """Ask the leader for a run now; return the order's id."""
        order_id = secrets.token_hex(16)
        [time] = self._broker.ask(command(b"TIME"))
        value = b"%d %b" % (self._now(time), entry.encode())
        orders = self._keys.schedule.orders
        self._ring(packed(b"HSET", orders, bulk(order_id.encode()), bulk(value)))
        return order_id

    def pause(self, entry: str | None, reason: str = "", until: float | None = None) -> None:
        """Let ticks of one entry or (None) of all be skipped; `until` is epoch seconds."""
        value = b"%d %b" % (int((until or 0) * 1000), reason.encode())
        paused = self._keys.schedule.paused
        self._ring(packed(b"HSET", paused, bulk(_field(entry)), bulk(value)))

    def resume(self, entry: str | None) -> bool:
        """Undo `pause` for the same entry or (None) for all; False when it was not paused."""
        paused = self._keys.schedule.paused
        return bool(self._ring(packed(b"HDEL", paused, bulk(_field(entry)))))

    def _ring(self, change: bytes) -> Reply:
        """Make a change and let the leader look; one token waits for it at most."""
        bell = self._keys.schedule.bell
        reply, *_ = self._broker.ask(
            change, packed(b"RPUSH", bell, _ONE), packed(b"LTRIM", bell, _LAST, _LAST)
        )
        return reply

    # ---- the history ----

    def history(self, entry: str, limit: int) -> list[TickRecord]:
        """Return an entry's newest records, the newest first."""
        key = self._keys.schedule_entry(entry)[1]
        [texts] = self._broker.ask(packed(b"LRANGE", key, _FIRST, bulk(b"%d" % (limit - 1))))
        return [TickRecord.from_json(text) for text in texts]

    def known(self) -> list[str]:
        """Return the names of all entries that ever had a tick, sorted."""
        [names] = self._broker.ask(packed(b"SMEMBERS", self._keys.schedule.entries))
        return sorted(name.decode() for name in names)

    def prune(self, older_than: float, keep: Sequence[str]) -> int:
        """Delete records older than so many seconds; return how many.

        Entries not in `keep` whose newest tick is as old are forgotten.
        """
        [time] = self._broker.ask(command(b"TIME"))
        limit = self._now(time) - int(older_than * 1000)
        removed = 0
        for name in self.known():
            removed += self._prune(name, limit, is_kept=name in keep)
        return removed

    def _prune(self, name: str, limit: int, *, is_kept: bool) -> int:
        state, history = self._keys.schedule_entry(name)
        old = sum(record.at < limit for record in self.history(name, KEPT_RECORDS))
        if old:
            # Counted from the oldest, so that what comes meanwhile is kept.
            self._broker.ask(packed(b"LTRIM", history, _FIRST, bulk(b"%d" % (-old - 1))))
        last = self.look([name]).entries[name].last
        if not is_kept and (last or 0) < limit:
            entries = self._keys.schedule.entries
            self._broker.ask(
                packed(b"DEL", state, history), packed(b"SREM", entries, bulk(name.encode()))
            )
        return old

    # ---- waiting ----

    def wait(self, timeout: float, wakeup_fd: int, *, leads: bool) -> None:
        """Block until a leader is wanted (`leads`: there are news for it).

        Returns also when `wakeup_fd` is readable or so many seconds are over.
        """
        with self._broker.translating():
            self._waits[leads].wait(timeout, wakeup_fd)

    def close(self) -> None:
        """Close the sockets."""
        for waiting in self._waits.values():
            waiting.close()
        self._line.drop()
        self._broker.close()

    def _now(self, time: Sequence[bytes]) -> int:
        seconds, micros = time
        return int(seconds) * 1000 + int(micros) // 1000 + int(self._scripts.offset * 1000)


def _field(entry: str | None) -> bytes:
    return ALL if entry is None else entry.encode()


def _changes(settlement: Settlement) -> list[bytes]:
    changes: list[bytes] = []
    if settlement.held is not None:
        changes += (b"held", b"%d" % settlement.held)
    if settlement.opened is not None:
        changes += (b"opened", settlement.opened.to_json().encode())
    if settlement.ran is not None:
        changes += (b"job", " ".join(settlement.ran).encode())
    return changes


def _state(reply: Sequence[bytes | None]) -> EntryState:
    last, job, held, opened = reply
    connection, _, job_id = (job or b"").decode().rpartition(" ")
    return EntryState(
        last=None if last is None else int(last),
        job=job_id,
        connection=connection,
        held=None if held is None else int(held),
        opened=None if opened is None else OpenTick.from_json(opened),
    )


def _pauses(fields: Sequence[bytes], now: int) -> Iterable[tuple[str, Pause]]:
    for name, value in zip(fields[::2], fields[1::2], strict=True):
        until, _, reason = value.decode().partition(" ")
        if int(until) == 0 or int(until) > now:
            yield ("" if name == ALL else name.decode()), Pause(reason, int(until))


def _orders(fields: Sequence[bytes]) -> Iterable[RunOrder]:
    for order_id, value in zip(fields[::2], fields[1::2], strict=True):
        at, _, entry = value.decode().partition(" ")
        yield RunOrder(order_id.decode(), entry, int(at))
