"""The dispatch side of what hangs on jobs: claims, chains, batches, what is to be carried away."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from onqueue.drivers.redis.keys import bulk
from onqueue.drivers.redis.parcels import bundle_parcel, head_of, job_parcel, message_in
from onqueue.drivers.redis.scripts import Code
from onqueue.drivers.redis.staging import Staging, count_jobs, write_staging
from onqueue.drivers.redis.tied_scripts import TiedScripts
from onqueue.drivers.redis.unstaging import moving_chain
from onqueue.drivers.redis.wire import packed
from onqueue.plans import BatchState, ChainPlan, ChainState, ClaimState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from onqueue.contracts import JobId, Message
    from onqueue.drivers.redis.scripts import Call
    from onqueue.drivers.redis.wire import Broker, Line, Reply
    from onqueue.plans import BatchId, BatchPlan, ChainId

CHUNK = 100
_AT_ONCE = bulk(b"0")
_COUNTS = ("total", "pending", "succeeded", "failed", "skipped", "cancelled", "broken")
_FACTS = ("id", "name", "allow", "created_at", "cancelled_at", "finished_at", "loads", "context")


class TiedQueue:
    """What `RedisQueue` does with jobs that have ties; see `contracts.BatchingQueue`."""

    def __init__(self, name: str, broker: Broker) -> None:
        """Use the connection's broker."""
        self.name = name
        self._broker = broker
        self._keys = broker.keys
        self._tied = TiedScripts(broker.scripts)

    # ---- claims ----

    def push_unique(self, messages: Sequence[Message]) -> list[JobId]:
        """Store jobs that claim; return for each the id of the job that now stands for it."""
        stands = self.receive(messages)
        return [one or message.id for one, message in zip(stands, messages, strict=True)]

    def receive(self, messages: Sequence[Message]) -> list[JobId]:
        """Store jobs with ties; "" for one that is known already, else the id that stands."""
        found: list[JobId] = []
        for start in range(0, len(messages), CHUNK):
            found += self._receive_trip(messages[start : start + CHUNK])
        return found

    def _receive_trip(self, trip: Sequence[Message]) -> list[JobId]:
        sequence = 0

        def act(line: Line, repeated: bool) -> list[bytes]:  # noqa: FBT001 - see Broker.use
            nonlocal sequence
            if not repeated:
                sequence = line.sequence = line.sequence + 1
            return line.run_all(
                [
                    self._receive(message, line, sequence, place, repeated=repeated)
                    for place, message in enumerate(trip)
                ]
            )

        return [reply.decode() for reply in self._broker.use(act)]

    def _receive(
        self, message: Message, line: Line, sequence: int, place: int, *, repeated: bool
    ) -> Call:
        return self._tied.receive(
            job_parcel(self._keys, message, message.tie),
            pusher=self._keys.pusher(line.token, place),
            sequence=sequence,
            repeated=repeated,
            once=message.once,
            seen=self._keys.seen((message.token or message.id).encode()),
        )

    def claims(self, *, orphans_only: bool = False) -> list[ClaimState]:
        """Return the claims that stand, sorted by key."""
        records = self._hash(self._keys.claims)
        successors = self._hash(self._keys.successors)
        found = []
        for key, record in sorted(records.items()):
            owner, expiry, *_ = record.split(b"\n")
            [known] = self._broker.ask(packed(b"HEXISTS", self._keys.payloads, bulk(owner)))
            heir = head_of(successors[key]).id if key in successors else ""
            if not (known and orphans_only):
                state = ClaimState(key.decode(), owner.decode(), _moment(expiry), not known, heir)
                found.append(state)
        return found

    def free_claim(self, key: str) -> bool:
        """Take a claim from its owner, which runs on; False when there is none."""
        return bool(self._broker.run(self._tied.free_claim(key)))

    # ---- chains ----

    def start_chain(self, plan: ChainPlan) -> bool:
        """Store the chain and push its first link, all or nothing; False when it was started."""
        staging = Staging(self._keys, self.name)
        return self._start(staging, staging.chain(plan), plan.token)

    def _start(self, staging: Staging, parcel: bytes, token: str = "") -> bool:
        write_staging(self._broker, self._tied, staging)
        return self._commit(self._tied.start(staging.root, parcel, token))

    def _commit(self, call: Call) -> bool:
        """Run what makes a staged plan true; a plan found gone the second time was started."""

        def act(line: Line, repeated: bool) -> bool:  # noqa: FBT001 - see Broker.use
            code = int(line.run(call))
            return code == Code.DONE or (repeated and code == Code.REPEATED)

        done = bool(self._broker.use(act))
        if done:
            self.run_errands()
        return done

    def chain(self, chain_id: ChainId) -> ChainState | None:
        """Return how a chain stands; None when it is unknown here or has ended long ago."""
        key = bulk(self._keys.chain(chain_id))
        names = (b"name", b"state", b"total", b"done", b"current", b"head", b"tail")
        [facts] = self._broker.ask(packed(b"HMGET", key, *map(bulk, names)))
        if facts[1] is None:
            return None
        name, state, total, done, current, head, tail = (fact.decode() for fact in facts)
        waiting = [head_of(parcel).id for parcel in self._numbered(key, int(head), int(tail))]
        return ChainState(chain_id, name, state, int(total), int(done), current, tuple(waiting))

    def _numbered(self, key: bytes, head: int, tail: int) -> Iterator[bytes]:
        for start in range(head, tail, CHUNK):
            numbers = [bulk(b"%d" % number) for number in range(start, min(tail, start + CHUNK))]
            [parcels] = self._broker.ask(packed(b"HMGET", key, *numbers))
            yield from (parcel for parcel in parcels if parcel is not None)

    def transfers(self, limit: int = 100) -> list[Message | ChainPlan]:
        """Return what waits to be taken to the connection it names."""
        count, with_values = bulk(b"%d" % limit), bulk(b"WITHVALUES")
        command = packed(b"HRANDFIELD", self._keys.transfers, count, with_values)
        [pairs] = self._broker.ask(command)
        found: list[Message | ChainPlan] = []
        for name, value in zip(pairs[::2], pairs[1::2], strict=True):
            if value == b"chain":
                found.append(moving_chain(self._hash, bulk(name), self.name))
            else:
                found.append(message_in(value))
        return found

    def carried(self, taken: Sequence[Message | ChainPlan]) -> None:
        """Forget what was taken to where it belongs."""
        for one in taken:
            if isinstance(one, ChainPlan):
                self._forget_moved(self._keys.moving(one.token))
                name = self._keys.moving(one.token)
            else:
                name = one.id.encode()
            self._broker.ask(packed(b"HDEL", self._keys.transfers, bulk(name)))

    def _forget_moved(self, moving: bytes) -> None:
        [plan] = self._broker.ask(packed(b"HGET", bulk(moving), bulk(b"plan")))
        if plan is not None:
            self._broker.ask(packed(b"ZADD", self._keys.plans, _AT_ONCE, bulk(plan)))
        self._broker.ask(packed(b"UNLINK", bulk(moving)))

    # ---- batches ----

    def start_batch(self, plan: BatchPlan) -> bool:
        """Store the batch and push its members, all or nothing; False when it was started."""
        staging = Staging(self._keys, self.name)
        return self._start(staging, staging.batch(plan))

    def add_to_batch(self, batch_id: BatchId, members: Sequence[Message | ChainPlan]) -> int:
        """Add members to a batch; return how many jobs, 0 when it has ended or is unknown."""
        if not members:
            return 0
        staging = Staging(self._keys, self.name)
        stage = staging.members(batch_id, members)
        write_staging(self._broker, self._tied, staging)
        key, count = self._keys.batch(batch_id), count_jobs(members)
        parcel = bundle_parcel("load", batch_id, "", key, stage)
        return count if self._commit(self._tied.add(staging.root, key, count, parcel)) else 0

    def cancel_batch(self, batch_id: BatchId) -> bool:
        """Let waiting members end unrun; False when it has ended or was cancelled before."""
        key = self._keys.batch(batch_id)

        def act(line: Line, repeated: bool) -> bool:  # noqa: FBT001 - see Broker.use
            return bool(line.run(self._tied.cancel_batch(key))) or repeated

        return bool(self._broker.use(act))

    def forget_batch(self, batch_id: BatchId) -> bool:
        """Delete what is known of a batch; its jobs stay. False when it was not there."""
        return bool(self._broker.run(self._tied.forget_batch(batch_id)))

    def batch(self, batch_id: BatchId) -> BatchState | None:
        """Return how a batch stands."""
        return self._states([batch_id])[0]

    def batches(self, after: BatchId | None = None, limit: int = 50) -> list[BatchState]:
        """Return the newest first; `after` is the id of the last one seen."""
        first = 0
        if after is not None:
            rank = packed(b"ZREVRANK", self._keys.batches, bulk(after.encode()))
            [place] = self._broker.ask(rank)
            if place is None:
                return []
            first = place + 1
        span = [bulk(b"%d" % at) for at in (first, first + limit - 1)]
        [ids] = self._broker.ask(packed(b"ZREVRANGE", self._keys.batches, *span))
        return [state for state in self._states([one.decode() for one in ids]) if state]

    def _states(self, ids: Sequence[BatchId]) -> list[BatchState | None]:
        if not ids:
            return []
        fields = [bulk(name.encode()) for name in (*_COUNTS, *_FACTS)]
        replies = self._broker.ask(
            *(packed(b"HMGET", bulk(self._keys.batch(one)), *fields) for one in ids)
        )
        return [_state(reply) for reply in replies]

    def failed_members(self, batch_id: BatchId) -> list[JobId]:
        """Return the members that have failed and were not retried, sorted."""
        ledger = self._hash(bulk(self._keys.members(batch_id)))
        return sorted(one.decode() for one, letter in ledger.items() if letter == b"f")

    # ---- what is left to be done ----

    def run_errands(self) -> None:
        """Go on with what scripts left over until nothing is left."""
        while self._broker.run(self._tied.errand()):
            continue

    def _hash(self, key: bytes) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        cursor = b"0"
        while True:
            step = packed(b"HSCAN", key, bulk(cursor), bulk(b"COUNT"), bulk(b"500"))
            [[cursor, pairs]] = self._broker.ask(step)
            found |= dict(zip(pairs[::2], pairs[1::2], strict=True))
            if cursor == b"0":
                return found


def _moment(ms: bytes) -> datetime:
    return datetime.fromtimestamp(int(ms) / 1000, UTC)


def _state(reply: Reply) -> BatchState | None:
    counts, facts = reply[: len(_COUNTS)], dict(zip(_FACTS, reply[len(_COUNTS) :], strict=True))
    if facts["id"] is None:
        return None
    cancelled, finished = facts["cancelled_at"], facts["finished_at"]
    return BatchState(
        facts["id"].decode(),
        facts["name"].decode(),
        **{name: int(count) for name, count in zip(_COUNTS, counts, strict=True)},
        allow_failures=facts["allow"] == b"1",
        created_at=_moment(facts["created_at"]),
        cancelled_at=None if cancelled is None else _moment(cancelled),
        finished_at=None if finished is None else _moment(finished),
        loading=facts["loads"] != b"0",
        context=json.loads(facts["context"]),
    )
