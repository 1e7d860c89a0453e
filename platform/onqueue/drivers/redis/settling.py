"""How a reserved job ends other than in the stride of `turn`: told alone, or not at all.

Acked, failed, released, parked: one trip each, which may be repeated when its answer is lost. What
never started goes back. `consumer.py` has the rest of a consumer: reserving and waiting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.exceptions import ConnectionError as Disconnected

from onqueue.drivers.redis.known_ties import KnownTies
from onqueue.drivers.redis.limits import RedisLimits
from onqueue.drivers.redis.locks import RedisLocks
from onqueue.drivers.redis.marks import send_at_once
from onqueue.drivers.redis.returning import give_back
from onqueue.drivers.redis.scripts import Code
from onqueue.drivers.redis.staging import Staging, write_staging
from onqueue.drivers.redis.tied_scripts import TiedScripts
from onqueue.drivers.redis.ties import has_lane, tie_in
from onqueue.drivers.redis.translation import GONE
from onqueue.errors import ConfigurationError, LeaseLost
from onqueue.plans import Tie

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onqueue.config import ConnectionConfig
    from onqueue.contracts import JobId, ReservedJob
    from onqueue.drivers.redis.scripts import Call
    from onqueue.drivers.redis.wire import Broker
    from onqueue.plans import ChainEdit, Ending
    from onqueue.quotas import Quota

A_MOMENT = 0.001
"""Seconds after which a fair job that comes back is due: what is due goes to its own lane."""


class Settling:
    """What was handed out to a holder, and how each of these jobs ends."""

    def __init__(self, broker: Broker, config: ConnectionConfig, holder: str) -> None:
        """Settle the jobs of a holder, over a line of its own."""
        self.holder = holder
        self._broker = broker
        self._keys = broker.keys
        self._scripts = broker.scripts
        self._tied = TiedScripts(broker.scripts)
        self._of = broker.keys.holder(holder)
        self._connection = config.name
        self._most = config.max_prefetch
        self._line = broker.line(send_at_once)
        self.coming: Callable[[], int] = self._coming
        """How many jobs that were handed out come yet; who keeps them knows best."""
        self._locks = RedisLocks(self._of, broker, self._line, holder)
        self._limits = RedisLimits(self._of, broker, self._line, holder, self._foreseen)
        self._ties = KnownTies()
        self._given: set[JobId] = set()  # handed out, not told to have started
        self._out: set[JobId] = set()  # handed out, their ends not confirmed
        self._unanswered: dict[JobId, ReservedJob] = {}  # nobody knows whether they ended
        self._ended: list[ReservedJob] = []  # of these, those that came again since
        self._errands = self._transfers = False  # what scripts left to be done

    def _foreseen(self) -> int:
        return self.coming()

    def _coming(self) -> int:
        """Return how many jobs that were handed out have not started; never more than can be.

        What the parent gave back is counted until the server is asked.
        """
        return min(len(self._given), self._most)

    def ack(
        self,
        job: ReservedJob,
        outcome: Ending = "succeeded",
        chain: ChainEdit | None = None,
    ) -> bool:
        """Remove a job that has ended without failing; `chain` changes its chain before.

        Raises `ConfigurationError` when a job that is in no chain wants to change it.
        """
        if chain is None or not (chain.prepend or chain.append):
            call = self._scripts.finish(self._of, job.id.encode(), outcome)
        else:
            call = self._amendment(job, outcome, chain)
        return self._settle(job, call) == Code.DONE

    def fail(self, job: ReservedJob) -> bool:
        """Remove a job that has failed; the failed store was written before."""
        call = self._scripts.finish(self._of, job.id.encode(), "failed")
        return self._settle(job, call) == Code.DONE

    def processing(self, job: ReservedJob) -> bool:
        """Give back a claim that is held until processing; the job runs right after."""
        if not job.tie:
            return True
        call = self._tied.processing(self._of, job.id.encode())
        with self._broker.translating():
            try:
                code = int(self._line.run(call))
            except Disconnected:
                self._line.drop()
                code = int(self._line.run(call))
            except GONE:
                self._line.drop()
                raise
        return code == Code.DONE

    def _amendment(self, job: ReservedJob, outcome: Ending, edit: ChainEdit) -> Call:
        """Stage the links a job adds to its chain and return the call that ends it with them."""
        tie = tie_in(job.tie.encode())
        if not tie.chain:
            problem = "it is in no chain, so nothing can come before or behind its links"
            raise ConfigurationError(f"The change of a chain by job {job.id}", [problem])
        staging = Staging(self._keys, self._connection)
        own = Tie(batch=tie.batch, chain=tie.chain)
        before = [staging.link(link, own) for link in edit.prepend]
        behind = [staging.link(link, own) for link in edit.append]
        write_staging(self._broker, self._tied, staging)
        return self._tied.finish_amended(
            self._of, job.id.encode(), outcome, staging.root, before, behind
        )

    def release(
        self,
        job: ReservedJob,
        delay: float,
        *,
        attempts: int,
        exceptions: int,
        deaths: int | None = None,
    ) -> bool:
        """Give the job back for later (seconds), with these new absolute counters.

        Without `deaths` it has died as often as before.
        """
        call = self._scripts.release(
            self._of,
            self._keys.queue(job.queue),
            job.id.encode(),
            delay=max(delay, A_MOMENT) if has_lane(job) else delay,
            attempts=attempts,
            exceptions=exceptions,
            deaths=job.deaths if deaths is None else deaths,
        )
        return self._settle(job, call) == Code.DONE

    def park(self, job: ReservedJob, lock: str) -> bool:
        """Let the job wait for the lock, in order; False when the lock is free by now.

        "unknown:<name>" is no lock: jobs wait there until `RedisQueue.replay_unknown`.
        Raises `LeaseLost`.
        """
        lane = self._keys.lane(lock)
        locked = not lane.startswith(self._keys.unknown_lanes)
        queue = self._keys.queue(job.queue)
        call = self._scripts.park(self._of, queue, job.id.encode(), lane, locked=locked)
        code = self._settle(job, call)
        if code in {Code.LOST, Code.NOT_HELD}:
            raise LeaseLost(self.holder, job.id)
        return code == Code.DONE

    def wait_turn(self, job: ReservedJob, quotas: Sequence[Quota]) -> None:
        """Let the job wait, in order, until its quotas let it through; raises `LeaseLost`."""
        queue = self._keys.queue(job.queue)
        call = self._limits.scripts.wait_turn(self._of, queue, job.id.encode(), quotas)
        if self._settle(job, call) != Code.DONE:
            raise LeaseLost(self.holder, job.id)

    def _settle(self, job: ReservedJob, call: Call) -> int:
        """Run a call that ends a reservation; what an unanswered try did counts as done.

        However long ago that was: a job that came again meanwhile had ended before.
        """
        if self._limits.freed:
            self._limits.run_after_freeing(())
        for at, ended in enumerate(self._ended):
            if ended is job:
                del self._ended[at]
                return Code.DONE
        code = self._ask_to_end(job, call)
        if code == Code.DONE_AND_MORE:
            self._errands = self._transfers = True
            code = Code.DONE
        if code in {Code.DONE, Code.NOT_HELD}:
            self._given.discard(job.id)
            self._out.discard(job.id)
            self._ties.went((job.id,))
        if code == Code.DONE:
            if self._locks.taken:
                self._locks.release_of([job.id])
            if self._limits.taken:
                self._limits.free_of([job.id])
        return code

    def _ask_to_end(self, job: ReservedJob, call: Call) -> int:
        """Return the answer; where nobody knows what an earlier try did, that it did it."""
        is_repeated = self._unanswered.get(job.id) is job
        with self._broker.translating():
            try:
                try:
                    code = int(self._line.run(call))
                except Disconnected:
                    self._line.drop()
                    is_repeated = True
                    code = int(self._line.run(call))
            except GONE:
                self._line.drop()
                self._unanswered[job.id] = job
                raise
        if not is_repeated:
            return code
        self._unanswered.pop(job.id, None)
        return Code.DONE_AND_MORE if code == Code.NOT_HELD else code

    def give_back(self, ids: Sequence[JobId]) -> None:
        """Return jobs that never started to the front of their queues, in order."""
        self._given.difference_update(ids)
        if self._limits.taken:
            self._limits.left(ids)
        with self._broker.translating():
            try:
                self._give_back([job_id.encode() for job_id in ids])
            except Disconnected:
                self._line.drop()
                self._give_back([job_id.encode() for job_id in ids])
        self._out.difference_update(ids)
        self._ties.went(ids)

    def _give_back(self, ids: Sequence[bytes]) -> None:
        give_back(self._line.ask, self._line.run, self._scripts, self._of, ids)
