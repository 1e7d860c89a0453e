"""The dispatch side of a connection on Redis, and what operators ask of it."""  # noqa: A005

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from onqueue.contracts import QueueSize
from onqueue.drivers.redis.consumer import RedisConsumer
from onqueue.drivers.redis.health import check_server
from onqueue.drivers.redis.inspection import RedisInspection
from onqueue.drivers.redis.keys import bulk
from onqueue.drivers.redis.leases import RedisLeases
from onqueue.drivers.redis.limit_scripts import LimitScripts
from onqueue.drivers.redis.pausing import asking, field_of, pauses_in, value_of
from onqueue.drivers.redis.schedules import RedisSchedules
from onqueue.drivers.redis.scripts import Code
from onqueue.drivers.redis.tied_queue import TiedQueue
from onqueue.drivers.redis.ties import is_bound, lane_or_tie
from onqueue.drivers.redis.wire import Broker, Line, command, packed
from onqueue.errors import BrokerUnavailable
from onqueue.quotas import Pause

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from onqueue.config import ConnectionConfig
    from onqueue.contracts import Cancelling, Clock, JobId, Message
    from onqueue.drivers.redis.keys import QueueKeys
    from onqueue.drivers.redis.scripts import Call
    from onqueue.quotas import PauseKind

CHUNK = 100
"""Jobs one script stores, so that no call keeps the server long."""

CHUNK_BYTES = 1 << 20
CHUNKS_A_TRIP = 10
QUEUES_A_CALL = 30
SIZE_ROUNDS = 100
"""How often the jobs of a queue are counted anew when a worker came meanwhile."""

CANCEL_ROUNDS = 20


class RedisQueue(TiedQueue):
    """A connection whose jobs live in Redis or Valkey; for several threads, also after a fork."""

    supports = frozenset(
        {
            "delay",
            "leases",
            "locks",
            "once",
            "park",
            "pause",
            "size",
            "forget",
            "knows",
            "checkpoints",
            "cancel",
            "limits",
            "unique",
            "chains",
            "batches",
            "fair",
        }
    )

    def __init__(self, config: ConnectionConfig, clock: Clock | None = None) -> None:
        """Connect to nothing yet; all drivers are given a clock, here the server's counts."""
        del clock
        super().__init__(config.name, Broker(config))
        self.config = config
        self._scripts = self._broker.scripts
        self._limits = LimitScripts(self._scripts)
        self._holders: list[str] = []  # as the last count found them

    @property
    def time_offset(self) -> float:
        """Seconds added to the server's clock, also for consumers and leases made here (tests)."""
        return self._scripts.offset

    @time_offset.setter
    def time_offset(self, seconds: float) -> None:
        self._scripts.offset = seconds

    # ---- dispatching ----

    def push(self, message: Message) -> bool:
        """Store the job; False when its id is known already.

        A push whose answer was lost is repeated; the server remembers each line's last push, so
        that the repetition makes no second job even when the first has been run meanwhile.
        """
        if message.tie is not None and is_bound(message.tie):
            return self.receive([message]) == [message.id]
        sequence = 0

        def act(line: Line, repeated: bool) -> int:  # noqa: FBT001 - see Broker.use
            nonlocal sequence
            if not repeated:
                sequence = line.sequence = line.sequence + 1
            return int(line.run(self._store([message], line, sequence, 0, repeated=repeated)))

        return bool(self._broker.use(act) != 0)

    def push_many(self, messages: Sequence[Message]) -> int:
        """Store the jobs, a thousand a round trip; return how many were new.

        When the server is full on the way, those before it are stored: pushing all again stores
        the rest.
        """
        bound = [one for one in messages if one.tie is not None and is_bound(one.tie)]
        new = 0
        if bound:
            stands = self.receive(bound)
            new = sum(one.id == found for one, found in zip(bound, stands, strict=True))
            messages = [one for one in messages if one.tie is None or not is_bound(one.tie)]
        trip: list[list[Message]] = []
        for chunk in _chunks(messages):
            trip.append(chunk)
            if len(trip) == CHUNKS_A_TRIP:
                new += self._push_trip(trip)
                trip = []
        return new + (self._push_trip(trip) if trip else 0)

    def _push_trip(self, trip: list[list[Message]]) -> int:
        sequence = 0

        def act(line: Line, repeated: bool) -> list[int]:  # noqa: FBT001 - see Broker.use
            nonlocal sequence
            if not repeated:
                sequence = line.sequence = line.sequence + 1
            return line.run_all(
                [
                    self._store(chunk, line, sequence, place, repeated=repeated)
                    for place, chunk in enumerate(trip)
                ]
            )

        replies: list[int] = self._broker.use(act)
        return sum(
            len(chunk) if reply == Code.REPEATED else reply
            for chunk, reply in zip(trip, replies, strict=True)
        )

    def _store(
        self, chunk: list[Message], line: Line, sequence: int, place: int, *, repeated: bool
    ) -> Call:
        first = chunk[0]
        tied = first.tie is not None
        queue = self._keys.queue(first.queue)
        pusher = self._keys.pusher(line.token, place)
        seen = (
            [self._keys.seen((job.token or job.id).encode()) for job in chunk]
            if first.once > 0
            else ()
        )
        if first.delay > 0:
            return self._scripts.later(
                queue,
                [(job.id.encode(), job.payload, job.delay) for job in chunk],
                ties=[self._tie(job) for job in chunk] if tied else (),
                pusher=pusher,
                sequence=sequence,
                repeated=repeated,
                once=first.once,
                seen=seen,
            )
        return self._scripts.push(
            queue,
            [(job.id.encode(), job.payload, self._tie(job)) for job in chunk]
            if tied
            else [(job.id.encode(), job.payload) for job in chunk],
            tied=tied,
            pusher=pusher,
            sequence=sequence,
            repeated=repeated,
            once=first.once,
            seen=seen,
        )

    def _tie(self, job: Message) -> bytes:
        if job.tie is None:
            return b""
        return lane_or_tie(self._keys, job.tie, job.queue, job.payload)

    # ---- looking ----

    def size(self, queue: str) -> QueueSize:
        """Return the queue's counts, all of one instant: no job is between two states."""
        keys = self._keys.queue(queue)
        for _ in range(SIZE_ROUNDS):
            holders = [self._keys.holder(holder) for holder in self._holders]
            agrees, *found = self._broker.run(self._scripts.size(keys, holders))
            if agrees:
                ready, delayed, reserved, parked = found
                return QueueSize(ready, delayed, reserved, parked)
            self._holders = [holder.decode() for holder in found]
        why = f"its workers came and went each of {SIZE_ROUNDS} times that they were asked for"
        raise BrokerUnavailable(self.name, self._broker.address, why)

    def queues(self) -> list[str]:
        """Return the names of the queues that have or had jobs, sorted."""
        [names] = self._broker.ask(packed(b"SMEMBERS", self._keys.queues))
        return sorted(name.decode() for name in names)

    def knows(self, ids: Sequence[JobId]) -> set[JobId]:
        """Return those of the ids that are waiting, delayed, parked or reserved."""
        known: set[JobId] = set()
        for start in range(0, len(ids), CHUNK):
            part = ids[start : start + CHUNK]
            replies = self._broker.ask(
                *(packed(b"HEXISTS", self._keys.payloads, bulk(job_id.encode())) for job_id in part)
            )
            known.update(job_id for job_id, found in zip(part, replies, strict=True) if found)
        return known

    def progress(self, job_id: JobId) -> bytes | None:
        """Return what a job last reported of itself, None when that was never or is long ago."""
        [found] = self._broker.ask(packed(b"GET", self._keys.progress(job_id)))
        text: bytes | None = found
        return text

    # ---- changing ----

    def clear(self, queue: str) -> int:
        """Remove the queue's ready, delayed and parked jobs, not the reserved; return how many."""
        removed, call = 0, self._scripts.clear(self._keys.queue(queue))
        most = self.size(queue).total
        while removed <= most and (part := int(self._broker.run(call))):
            removed += part
        return removed

    def forget(self, job_id: JobId) -> bool:
        """Remove a waiting job; False when it is not waiting."""
        names = self.queues() or [self.config.queue]
        return any(
            self._broker.run(self._scripts.forget(job_id.encode(), part))
            for part in self._groups(names)
        )

    def cancel(self, job_id: JobId, grace: float) -> Cancelling:
        """Remove a waiting job, or have the parent of the worker that runs it end its run.

        "asked" is told as soon as the parent will hear of it; `grace` is seconds.
        """
        for _ in range(CANCEL_ROUNDS):  # the job may move on between two looks
            if self.forget(job_id):
                return "removed"
            [holders] = self._broker.ask(
                packed(b"ZRANGE", self._keys.holders, b"$1\r\n0\r\n", b"$2\r\n-1\r\n")
            )
            for holder in holders:
                of = self._keys.holder(holder.decode())
                order = f"{job_id} {grace:.3f}".encode()
                if self._broker.run(self._scripts.order(of, job_id.encode(), order)):
                    return "asked"
            if not self.knows([job_id]):
                return "unknown"
        return "moving"

    def _groups(self, names: Sequence[str]) -> Iterator[list[QueueKeys]]:
        for start in range(0, len(names), QUEUES_A_CALL):
            yield [self._keys.queue(name) for name in names[start : start + QUEUES_A_CALL]]

    # ---- pausing ----

    def pause(self, queue: str | None, reason: str = "", until: float | None = None) -> None:
        """Stop hand-outs of one queue or (None) of all; `until` is seconds since the epoch."""
        self.pause_work(Pause(*_paused_by(queue), reason, until))

    def resume(self, queue: str | None) -> None:
        """Undo `pause` for the same queue or (None) for the whole connection, and wake workers."""
        self.resume_work(*_paused_by(queue))

    def paused(self) -> dict[str, str]:
        """Return paused queues with their reasons; the whole connection bears the name ""."""
        whole: tuple[PauseKind, ...] = ("connection", "queue")
        return {pause.name: pause.reason for pause in self.pauses() if pause.kind in whole}

    def pause_work(self, pause: Pause) -> bool:
        """Begin a pause, or change the one of the same kind and name; False when it changed.

        Jobs of a paused class or tenant wait parked and come back in order when it is over.
        """
        field = field_of(pause.kind, pause.name)
        was_paused = self._broker.run(self._limits.pause(field, value_of(pause)))
        self._wake_all(pause.kind, pause.name)
        return not was_paused

    def resume_work(self, kind: PauseKind, name: str) -> bool:
        """End a pause and call in who waits for that; False when there was none."""
        was_paused = self._broker.run(self._limits.pause(field_of(kind, name), b""))
        self._wake_all(kind, name)
        return bool(was_paused)

    def _wake_all(self, kind: PauseKind, name: str) -> None:
        for part in self._groups([name] if kind == "queue" else self.queues()):
            self._broker.run(self._scripts.nudge(part))

    def pauses(self) -> list[Pause]:
        """Return what is paused, sorted."""
        found = pauses_in(self._broker.ask(*asking(self._keys.paused)), self._scripts.offset)
        return sorted(found, key=lambda pause: (pause.kind, pause.name))

    # ---- lanes of unknown jobs ----

    def unknown(self) -> dict[str, int]:
        """Return the names of jobs parked as unknown, with how many there are of each.

        Behind the name and a bar stands the reason, where the name itself is known.
        """
        return {self._name_of_unknown(lane): count for lane, count in self._unknown_lanes().items()}

    def _name_of_unknown(self, lane: bytes) -> str:
        return unquote(lane.removeprefix(self._keys.unknown_lanes).decode())

    def _unknown_lanes(self) -> dict[bytes, int]:
        [lanes] = self._broker.ask(packed(b"SMEMBERS", self._keys.parking))
        lanes = sorted(lane for lane in lanes if lane.startswith(self._keys.unknown_lanes))
        counts = self._broker.ask(*(command(b"LLEN", lane) for lane in lanes)) if lanes else []
        return dict(zip(lanes, counts, strict=True))

    def replay_unknown(self, name: str | None = None) -> int:
        """Put jobs parked as unknown (under one name, or all) back; return how many."""
        waiting = self._unknown_lanes()
        wanted = set(waiting)
        if name is not None:
            own = self._keys.lane(f"unknown:{name}")
            with_reason = self._keys.lane(f"unknown:{name} | ")
            wanted = {lane for lane in waiting if lane == own or lane.startswith(with_reason)}
        replayed = 0
        for lane in wanted:
            call = self._scripts.replay(lane)
            left = waiting[lane]
            while left > 0 and (part := int(self._broker.run(call))):
                replayed += part
                left -= part
        return replayed

    def inspection(self) -> RedisInspection:
        """Return what looks at jobs, locks and alarms."""
        return RedisInspection(self._broker)

    # ---- the workers' sides ----

    def consumer(self, holder: str, queues: Sequence[str], *, force: bool = False) -> RedisConsumer:
        """Return the child's side, working under a holder that `leases` opened.

        With `force` it serves paused queues, too.
        """
        return RedisConsumer(self._broker, self.config, holder, queues, force=force)

    def request_restart(self) -> None:
        """Let every worker of the connection end after its current job."""
        [[seconds, micros]] = self._broker.ask(command(b"TIME"))
        moment = b"%d.%06d" % (int(seconds), int(micros))
        self._broker.ask(packed(b"SET", self._keys.restart, bulk(moment)))

    def restart_requested_at(self) -> float:
        """Return when that was last asked for, in the server's epoch seconds; 0 for never."""
        [moment] = self._broker.ask(packed(b"GET", self._keys.restart))
        return float(moment or 0)

    def leases(self) -> RedisLeases:
        """Return the parent's side, with a connection of its own."""
        return RedisLeases(Broker(self.config, self._scripts), self.config)

    def schedules(self) -> RedisSchedules:
        """Return the store of a schedule, with a connection of its own."""
        return RedisSchedules(Broker(self.config, self._scripts), self.config)

    def check(self) -> None:
        """Raise `BrokerUnavailable` or `BrokerMisconfigured` when jobs would not be safe."""
        check_server(self._broker)

    def close(self) -> None:
        """Close the sockets; the queue may be used again and reconnects then."""
        self._broker.close()


def _paused_by(queue: str | None) -> tuple[PauseKind, str]:
    return ("connection", "") if queue is None else ("queue", queue)


def _chunks(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """Group jobs that one script can store, in their order, no group too long."""
    open_chunks: dict[tuple[str, bool, float, bool], list[Message]] = {}
    sizes: dict[tuple[str, bool, float, bool], int] = {}
    for message in messages:
        kind = (message.queue, message.delay > 0, message.once, message.tie is not None)
        chunk = open_chunks.setdefault(kind, [])
        chunk.append(message)
        sizes[kind] = sizes.get(kind, 0) + len(message.payload)
        if len(chunk) == CHUNK or sizes[kind] >= CHUNK_BYTES:
            yield open_chunks.pop(kind)
            del sizes[kind]
    yield from open_chunks.values()
