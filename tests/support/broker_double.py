"""A broker of one process that can be away, refuse jobs and forget everything."""

from collections.abc import Sequence
from dataclasses import replace

from onqueue.config import ConnectionConfig, connection_config
from onqueue.contracts import Clock, JobId, Message, QueueSize
from onqueue.errors import BrokerUnavailable, PayloadTooLarge, UnknownConnection
from onqueue.quotas import Pause, PauseKind


class BrokerDouble:
    """The dispatch side of a connection, in memory; honours `once` without an end."""

    def __init__(self, name: str = "redis", config: ConnectionConfig | None = None) -> None:
        self.name = name
        self.config = config or connection_config(name, {"driver": "redis"})
        self.supports = frozenset({"delay", "once", "pause", "size", "forget", "knows", "unique"})
        self.away = False
        self.refused: set[JobId] = set()
        self.waiting: dict[JobId, Message] = {}
        self.pushed: list[Message] = []
        self.trips = 0
        self.claims: dict[str, JobId] = {}
        self._seen: set[str] = set()
        self._paused: dict[str, str] = {}
        self._work: dict[tuple[PauseKind, str], Pause] = {}

    def push(self, message: Message) -> bool:
        return self.push_many([message]) == 1

    def push_many(self, messages: Sequence[Message]) -> int:
        self._answer()
        for message in messages:
            if message.id in self.refused:
                raise PayloadTooLarge("Job", 2, 1)
        return sum([self._take(message) for message in messages])

    def push_unique(self, messages: Sequence[Message]) -> list[JobId]:
        """Take the locks that are free; a lock goes with its job."""
        self._answer()
        return [self._claim(message) for message in messages]

    def _claim(self, message: Message) -> JobId:
        assert message.tie is not None and message.tie.claim is not None
        key = message.tie.claim.key
        owner = self.claims.get(key)
        if owner in self.waiting and owner != message.id:
            if message.tie.claim.on_conflict in {"replace", "keep_last"}:
                self.waiting[owner] = replace(self.waiting[owner], payload=message.payload)
            return owner
        if self._take(message):
            self.claims[key] = message.id
        return message.id

    def size(self, queue: str) -> QueueSize:
        self._answer()
        mine = [message for message in self.waiting.values() if message.queue == queue]
        delayed = sum(message.delay > 0 for message in mine)
        return QueueSize(ready=len(mine) - delayed, delayed=delayed)

    def queues(self) -> list[str]:
        self._answer()
        return sorted({message.queue for message in self.pushed})

    def clear(self, queue: str) -> int:
        self._answer()
        gone = [one for one, message in self.waiting.items() if message.queue == queue]
        for job_id in gone:
            del self.waiting[job_id]
        return len(gone)

    def forget(self, job_id: JobId) -> bool:
        self._answer()
        return self.waiting.pop(job_id, None) is not None

    def knows(self, ids: Sequence[JobId]) -> set[JobId]:
        self._answer()
        return {job_id for job_id in ids if job_id in self.waiting}

    def pause(self, queue: str | None, reason: str = "", until: float | None = None) -> None:
        self._answer()
        self._paused[queue or ""] = reason

    def resume(self, queue: str | None) -> None:
        self._answer()
        self._paused.pop(queue or "", None)

    def paused(self) -> dict[str, str]:
        self._answer()
        return dict(self._paused)

    def pause_work(self, pause: Pause) -> bool:
        self._answer()
        known = (pause.kind, pause.name) in self._work
        self._work[pause.kind, pause.name] = pause
        return not known

    def resume_work(self, kind: PauseKind, name: str) -> bool:
        self._answer()
        return self._work.pop((kind, name), None) is not None

    def pauses(self) -> list[Pause]:
        self._answer()
        whole = [
            Pause("queue" if name else "connection", name, why)
            for name, why in self._paused.items()
        ]
        return sorted([*whole, *self._work.values()], key=lambda pause: (pause.kind, pause.name))

    def check(self) -> None:
        self._answer()

    def close(self) -> None:
        """Nothing to give back."""

    def run_all(self) -> list[JobId]:
        """Let a worker succeed with all that waits; return the ids in their order."""
        done = list(self.waiting)
        self.waiting.clear()
        return done

    def lose_everything(self) -> None:
        """Forget all jobs and all that was seen, as FLUSHALL does."""
        self.waiting.clear()
        self._seen.clear()

    def _take(self, message: Message) -> bool:
        name = message.token or message.id
        if message.id in self.waiting or (message.once and name in self._seen):
            return False
        if message.once:
            self._seen.add(name)
        self.waiting[message.id] = message
        self.pushed.append(message)
        return True

    def _answer(self) -> None:
        self.trips += 1
        if self.away:
            raise BrokerUnavailable(self.name, "nowhere", "it was sent away by the test")


def broker_double(config: ConnectionConfig, clock: Clock) -> BrokerDouble:
    """Make the double for a QueueManager: its driver is 'support.broker_double:broker_double'."""
    del clock
    return BrokerDouble(config.name, config)


class Connections:
    """What a `QueueManager` is to relays and retries: names to connections."""

    def __init__(self, *queues: BrokerDouble) -> None:
        self._queues = {queue.name: queue for queue in queues}

    def connection(self, name: str) -> BrokerDouble:
        try:
            return self._queues[name]
        except KeyError:
            raise UnknownConnection(name, self._queues) from None
