"""The child's side of a connection: reserves jobs, confirms those that are done, waits for more."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import RedisError

from onqueue.contracts import ReservedJob, Turn
from onqueue.drivers.redis.beacon import Beacon
from onqueue.drivers.redis.checkpoints import RedisCheckpoints
from onqueue.drivers.redis.keys import bulk
from onqueue.drivers.redis.known_ties import UNKNOWN
from onqueue.drivers.redis.lane_watch import LaneWatch
from onqueue.drivers.redis.marks import Marks
from onqueue.drivers.redis.pausing import asking, pauses_in
from onqueue.drivers.redis.returning import restore
from onqueue.drivers.redis.scripts import Code
from onqueue.drivers.redis.settling import Settling
from onqueue.drivers.redis.ties import tie_up
from onqueue.drivers.redis.translation import GONE
from onqueue.drivers.redis.waiting import Waiting
from onqueue.drivers.redis.wire import Reply, packed
from onqueue.errors import LeaseLost

if TYPE_CHECKING:
    from collections.abc import Sequence, Sized
    from contextlib import AbstractContextManager

    from onqueue.config import ConnectionConfig
    from onqueue.contracts import JobId, Locks
    from onqueue.drivers.redis.scripts import Call
    from onqueue.drivers.redis.wire import Broker
    from onqueue.quotas import Limits, Pause

logger = logging.getLogger(__name__)

MOST_DONE = 200
"""Finished jobs one script confirms."""

ERRANDS_A_TRIP = 5
"""Scripts with about a hundred jobs each by which one trip loads batches further."""

MOST_REMEMBERED = 1_000
"""Ids handed out, their ends not confirmed, above which the server is asked which are held still.

More than these are what the parent gave back, of which nobody tells the child.
"""

ID_LENGTH = 32

A_LITTLE = 1.0
"""Seconds by which an offer outlasts the wait: whoever is not back by then is frozen or cut off."""

_NOT_ASKED = "-"


class RedisConsumer(Settling):
    """One holder's consumer; used by one thread. It has one line for work and one to wait on."""

    def __init__(
        self,
        broker: Broker,
        config: ConnectionConfig,
        holder: str,
        queues: Sequence[str],
        *,
        force: bool = False,
    ) -> None:
        """Serve these queues, highest priority first, under a holder that is open.

        With `force` paused queues are served, too.
        """
        super().__init__(broker, config, holder)
        self._force = force
        self._names = list(queues)
        self._queues = [broker.keys.queue(name) for name in queues]
        wakes = [queue.wake for queue in self._queues]
        self._waiting = Waiting(broker, self._line, wakes, self._of.inbox)
        self._beacon = Beacon(broker, self._of.inbox)
        self._offer = config.block_for + A_LITTLE
        """Seconds for which it offers itself: as long as a worker waits at most."""
        self._has_offered = False
        """Whether pushes may have handed it something since the last turn."""
        self._has_unused = False
        """Whether it was handed something that it will not run and that is to go back."""
        self._watch = LaneWatch(
            broker, self._line, config.max_prefetch, [queue.ring for queue in self._queues]
        )
        self._pauses: frozenset[Pause] = frozenset()
        self._version_of_pauses = ""
        self._most_out = MOST_REMEMBERED
        self._is_unsure = False  # whether an answer was lost that may have brought jobs
        self._is_shared = False  # by threads, so that a start does not tell of other jobs
        head = "*4\r\n$4\r\nLREM\r\n"
        self._done_head = head + self._of.unfinished.decode() + "$1\r\n1\r\n$32\r\n"
        self._start_head = head + self._of.unstarted.decode() + "$1\r\n1\r\n$32\r\n"
        heads = (self._done_head, self._start_head)
        self._marks = Marks(broker, heads, self._given, self._out)

    # ---- the fast path ----

    def turn(self, want: int, done: Sequence[JobId]) -> Turn:
        """Confirm the finished jobs and reserve up to `want`; raises `LeaseLost`.

        When the answer is lost, jobs it may have brought go back unspent and the turn is repeated.
        """
        item, self._waiting.item = self._waiting.item, None
        if item is not None:
            if want and not done and not self._is_unsure:
                return self._handed(item)
            self._has_unused = True
        if self._locks.taken:
            self._locks.release_of(done)
        if self._limits.taken:
            self._limits.free_of(done)
        limits = self._limits
        if limits.ahead and want:
            limits.give_up_idle()
        with self._broker.translating():
            if self._errands:
                self._run_errands()
            while len(done) > MOST_DONE:
                self._turn(0, done[:MOST_DONE])
                done = done[MOST_DONE:]
            if len(self._out) > self._most_out:
                self._forget_what_is_not_held()
            turn = self._turn(min(want, self._most), done)
        # Jobs that are held still come: a confirmation between them leaves them their places.
        if limits.ahead and not turn.jobs and (want or not self.coming()):
            limits.give_up()
        return turn

    def _turn(self, want: int, done: Sequence[JobId]) -> Turn:
        watch = self._watch
        watch.is_on = watch.is_on and not want
        waited, self._has_offered = self._has_offered, False
        offers = want > 0 and self._may_offer
        call = self._scripts.turn(
            self._of,
            self._queues,
            want,
            done,
            tie=self._ties.of(done) if self._out.issuperset(done) else UNKNOWN,
            force=self._force,
            fair=watch.most,
            in_order=not self._is_shared,
            waited=waited,
            offers=self._offer if offers else 0.0,
        )
        is_repeated = self._is_unsure
        self._is_unsure |= self._has_unused or (waited and self._waiting.has_lost)
        self._has_unused = self._waiting.has_lost = False
        try:
            turn = self._run_turn(call)
        except Disconnected:
            is_repeated = True
            turn = self._run_turn(call)
        # A turn that was repeated may be late, and offer it once more behind its repetition's back.
        self._has_offered = is_repeated or (offers and not turn.jobs)
        self._out.difference_update(done)
        self._ties.went(done)
        if is_repeated:  # what it would refuse the first one has confirmed
            turn = Turn(turn.jobs, turn.next_due, [], turn.transfers, turn.pauses)
        return turn

    @property
    def _may_offer(self) -> bool:
        """Whether it waits next, unless it is brought a job, and then may be handed one."""
        has_more = self._errands or self._transfers
        return not (self._is_shared or has_more) and self._waiting.can_end and self._beacon.is_lit

    def _run_turn(self, call: Call) -> Turn:
        """Run a turn; what one whose answer was lost may have brought goes back before."""
        try:
            if self._is_unsure:
                self._return_unknown()
                self._is_unsure = False
            if self._limits.freed:
                [reply] = self._limits.send_after_freeing([call])
            else:
                reply = self._line.run(call)
            return self._brought(reply)
        except GONE:
            self._is_unsure = True
            self._line.drop()
            raise

    def _brought(self, reply: Reply) -> Turn:
        if reply == Code.LOST:
            raise LeaseLost(self.holder)
        header, blob, *ties = reply
        due, number, ids, lengths, states, refused, lost, marks, left, paused, slotted = (
            header.decode().split("|")
        )
        if paused not in {self._version_of_pauses, _NOT_ASKED}:
            self._learn_pauses(paused)
        if lost:
            logger.error(
                "queue %r had ids without a payload, dropped: %s",
                self._names[int(number) - 1],
                ", ".join(_split(lost)),
            )
        next_due = None if due == "-1" else int(due) / 1000
        transfers = self._left_over(left)
        if not ids:
            next_due = 0.0 if self._errands else next_due
            return Turn([], next_due, _split(refused), transfers, self._pauses)
        jobs = _jobs(self._names[int(number) - 1], _split(ids), lengths, states, blob)
        if ties:
            tie_up(jobs, ties, marks)
            self._ties.came(jobs)
            self._watch.begin(jobs, self._queues[int(number) - 1])
        else:
            self._watch.end()
        self._note(jobs)
        if slotted:
            self._limits.came(_split(slotted))
        return Turn(jobs, next_due, _split(refused), transfers, self._pauses)

    def _handed(self, item: bytes) -> Turn:
        """Return the job that a push handed over while this consumer waited."""
        self._has_offered = False
        name, _, payload = item[ID_LENGTH:].partition(b"\n")
        jobs = [ReservedJob(item[:ID_LENGTH].decode(), name.decode(), payload)]
        self._note(jobs)
        return Turn(jobs, None, [], transfers=False, pauses=self._pauses)

    def _note(self, jobs: Sequence[ReservedJob]) -> None:
        """Remember what is handed out."""
        brought = [job.id for job in jobs]
        self._given.update(brought)
        self._out.update(brought)
        if self._unanswered:
            unanswered = [self._unanswered.pop(job_id, None) for job_id in brought]
            self._ended += [job for job in unanswered if job is not None]

    def _left_over(self, left: str) -> bool:
        """Note what scripts left to be done; tell whether there are transfers."""
        if not left and not self._transfers:
            return False
        self._errands |= left in {"1", "3"}
        transfers, self._transfers = self._transfers or left in {"2", "3"}, False
        return transfers

    def _learn_pauses(self, version: str) -> None:
        """Look what is paused by now: the answer is as new as the version, or newer."""
        found: frozenset[Pause] = frozenset()
        if version:
            replies = self._line.ask_all(asking(self._keys.paused))
            found = frozenset(pauses_in(replies, self._scripts.offset))
        self._pauses, self._version_of_pauses = found, version

    def _return_unknown(self) -> None:
        """Give back what a turn whose answer was lost may have reserved, or a push that way.

        What was handed out stays: a thread's mark may be on its way, on a line of its own.
        """
        self._line.ask(packed(b"HDEL", self._keys.idle, self._of.holder))
        self._line.ask(packed(b"DEL", self._of.inbox))
        ids = self._line.ask(packed(b"LRANGE", self._of.unstarted, bulk(b"0"), bulk(b"-1")))
        unknown = [job_id for job_id in ids if job_id.decode() not in self._out]
        self._give_back(unknown)

    def _forget_what_is_not_held(self) -> None:
        """Keep of what was handed out only what the server says this holder has."""
        ids = list(self._out)
        for at in range(0, len(ids), MOST_DONE):
            part = ids[at : at + MOST_DONE]
            asked = packed(b"HMGET", self._of.held, *(bulk(job_id.encode()) for job_id in part))
            try:
                queues = self._line.ask(asked)
            except GONE:
                self._line.drop()
                raise
            gone = [job_id for job_id, queue in zip(part, queues, strict=True) if queue is None]
            self._out.difference_update(gone)
            self._ties.went(gone)
            self._given.difference_update(gone)
        self._most_out = max(MOST_REMEMBERED, 2 * len(self._out))

    def mark(self, done: JobId | None, started: JobId) -> bool:  # noqa: ARG002 - see below
        """Write down that one job is done and the next has started; nobody waits for it.

        True when what has not started should go back, for the sake of a lane that came meanwhile.

        One line tells both, as jobs are run in their order: those before it have ended. It is a
        removal, which even a full server takes, and harmless to repeat: it is told again when the
        line breaks before the next answered trip.
        """
        self._given.discard(started)
        try:
            self._line.tell(f"{self._start_head}{started}\r\n".encode())
        except RedisError:
            with self._broker.translating():
                raise
        return self._watch.is_on and self._watch.started()

    def _run_errands(self) -> None:
        """Go on with what a script left over, a little before each trip: jobs wait meanwhile."""
        try:
            for _ in range(ERRANDS_A_TRIP):
                self._errands = bool(self._line.run(self._tied.errand()))
                if not self._errands:
                    break
        except GONE:  # a repetition is harmless, and a reaper goes on if there is none
            self._line.drop()
            raise

    # ---- waiting ----

    def wait(self, timeout: float, wakeup_fd: int) -> None:
        """Block until a job may be ready, `wakeup_fd` is readable or `timeout` seconds are over.

        Who was told something else meanwhile is handed nothing any more.
        """
        with self._broker.translating():
            if not self._is_shared:
                self._beacon.light()
            is_interrupted = self._waiting.wait(timeout, wakeup_fd)
        if is_interrupted:
            self.withdraw()

    def withdraw(self) -> None:
        """Be handed nothing more, and leave what was handed over to others; raises `LeaseLost`."""
        is_offered = self._has_offered or self._has_unused or self._is_unsure
        if is_offered or self._waiting.item is not None:
            self.turn(0, [])

    def prefer(self, queues: Sequence[str]) -> None:
        """Serve the same queues in this order from the next turn on."""
        self._names = list(queues)
        self._queues = [self._keys.queue(name) for name in queues]

    def share(self, guard: AbstractContextManager[Any]) -> None:
        """Take the guard for whatever a wait does on the line for work.

        Whoever shares a consumer makes all other calls, and those of its locks, under the guard;
        only the marks go their own way.
        """
        self._waiting.guard = guard
        self._is_shared = self._limits.is_shared = True
        self._watch.stay_short()

    def marks(self) -> Marks:
        """Return what several threads mark their starts with."""
        return self._marks

    @property
    def owed(self) -> Sized:
        """What jobs of several threads gave back and the next trip takes along."""
        return self._limits.freed

    def leave(self) -> None:
        """Give back what was set aside for jobs that will not come any more, and what they had."""
        self.withdraw()
        if self._limits.freed:
            self._limits.run_after_freeing(())
        if self._limits.ahead:
            self._limits.give_up()

    def locks(self) -> Locks:
        """Return the locks of this holder."""
        return self._locks

    def limits(self) -> Limits:
        """Return the quotas, asked for this holder's jobs."""
        return self._limits

    def checkpoints(self) -> RedisCheckpoints:
        """Return the notes of this holder's jobs."""
        return RedisCheckpoints(self._of, self._broker)

    def close(self) -> None:
        """Close the sockets; what is held stays held until the holder is buried."""
        self._line.drop()
        self._marks.close()
        self._watch.close()
        self._waiting.close()
        self._beacon.close()


def _split(ids: str) -> list[JobId]:
    return [ids[at : at + ID_LENGTH] for at in range(0, len(ids), ID_LENGTH)]


def _jobs(
    queue: str, ids: list[JobId], lengths: str, states: str, blob: bytes
) -> list[ReservedJob]:
    at, jobs = 0, []
    for job_id, length in zip(ids, lengths.split(","), strict=True):
        end = at + int(length)
        jobs.append(ReservedJob(job_id, queue, blob[at:end]))
        at = end
    if states:
        for job, state in zip(jobs, states.split(";"), strict=True):
            restore(job, state)
    return jobs
