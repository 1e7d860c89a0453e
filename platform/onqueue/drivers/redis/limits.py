"""The quotas of a connection, asked for the jobs of one holder."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis.exceptions import ConnectionError as Disconnected

from onqueue.clock import SystemClock
from onqueue.drivers.redis.limit_scripts import LimitScripts
from onqueue.drivers.redis.scripts import Code
from onqueue.drivers.redis.translation import GONE
from onqueue.errors import LeaseLost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeAlias

    from onqueue.contracts import JobId
    from onqueue.drivers.redis.keys import HolderKeys
    from onqueue.drivers.redis.scripts import Call
    from onqueue.drivers.redis.wire import Broker, Line, Reply
    from onqueue.quotas import Quota

    Asked: TypeAlias = tuple[Sequence[Quota], JobId, str]
    """Who asks for which quotas, and from which queue it came."""

_LEASE_LOST = -2


@dataclass(slots=True)
class Ahead:
    """Places in windows of rates that are used and not taken yet; both ends are the same moment."""

    quotas: tuple[Quota, ...]
    left: int
    good_until: float
    server_ms: int
    is_idle: bool = False
    """Whether none was taken since the last trip."""


TRIPS_AHEAD = 4
"""For how many trips like the present one places are used in advance."""


def _alike(queue: str, quotas: Sequence[Quota]) -> Hashable:
    """Return what is the same for jobs that may use each other's places; made for each job."""
    if len(quotas) == 1:
        quota = quotas[0]
        return (queue, quota.kind, quota.key, quota.most)
    return (queue, *((quota.kind, quota.key, quota.most) for quota in quotas))


class RedisLimits:
    """Counts on the server, for all workers of the connection.

    A slot ends when it is given back or with its holder's lease. A job that ends without giving
    its slots back loses them when its end is confirmed.
    """

    def __init__(
        self, of: HolderKeys, broker: Broker, line: Line, holder: str, held: Callable[[], int]
    ) -> None:
        """Use the consumer's own line; `held` tells how many of its jobs have not started."""
        self._of = of
        self._broker = broker
        self._line = line
        self._holder = holder
        self.scripts = LimitScripts(broker.scripts)
        self._held = held
        self._clock = SystemClock()
        self.taken: dict[JobId, list[Quota]] = {}
        """Who has slots; none are named of a job that came with them and has not asked yet."""
        self.ahead: dict[Hashable, Ahead] = {}
        """What was used for jobs that come next, so that not each of them needs a trip."""
        self.is_shared = False
        """Whether several threads use these; they make a trip before one begins another job."""
        self.freed: deque[tuple[Sequence[Quota], JobId]] = deque()
        """What goes back with the next trip."""

    def admit(self, quotas: Sequence[Quota], owner: JobId, queue: str) -> float | None:
        """Use all quotas or none; None when the job may go on, else the seconds to wait.

        Raises `LeaseLost`. When the answer is lost a rate may be used twice, never too little.
        """
        alike = _alike(queue, quotas)
        ahead = self.ahead.get(alike)
        if ahead is not None and self._use(ahead, alike):
            return None
        call = self._question(quotas, owner, queue, self._held() * TRIPS_AHEAD)
        sent = self._clock.monotonic()
        return self._answer(self.run_after_freeing([call])[0], alike, quotas, owner, sent)

    def admit_all(self, asked: Sequence[Asked]) -> list[float | None]:
        """Do the same for several jobs, in their order and in one trip."""
        waits: list[float | None] = [None] * len(asked)
        places, calls, known = [], [], set[Hashable]()
        for at, (quotas, owner, queue) in enumerate(asked):
            alike = _alike(queue, quotas)
            ahead = self.ahead.get(alike)
            if ahead is not None and self._use(ahead, alike):
                continue
            wanted = 0 if alike in known else self._held() * TRIPS_AHEAD
            known.add(alike)
            places.append((at, alike))
            calls.append(self._question(quotas, owner, queue, wanted))
        sent = self._clock.monotonic()
        replies = self.run_after_freeing(calls) if calls else []
        for (at, alike), reply in zip(places, replies, strict=True):
            quotas, owner, _ = asked[at]
            waits[at] = self._answer(reply, alike, quotas, owner, sent)
        return waits

    def _question(self, quotas: Sequence[Quota], owner: JobId, queue: str, ahead: int) -> Call:
        keys = self._broker.keys.queue(queue)
        return self.scripts.let_through(self._of, keys, owner.encode(), quotas, ahead)

    def _answer(
        self,
        reply: Reply,
        alike: Hashable,
        quotas: Sequence[Quota],
        owner: JobId,
        sent: float,
    ) -> float | None:
        code, figure, *more = reply
        if code == Code.LOST:
            raise LeaseLost(self._holder, owner)
        if code == Code.NOT_HELD:
            return float("inf") if figure < 0 else figure / 1000
        if figure:
            until, lasts = more
            self.ahead[alike] = Ahead(tuple(quotas), figure, sent + lasts / 1000, int(until))
        slots = [quota for quota in quotas if quota.kind == "slots"]
        if slots:
            self.taken.setdefault(owner, []).extend(slots)
        return None

    def came(self, owners: Iterable[JobId]) -> None:
        """Note that these jobs came with the slots they had waited for."""
        for owner in owners:
            self.taken[owner] = []

    def left(self, owners: Iterable[JobId]) -> None:
        """Note that these jobs went back to their queue, with their slots if they came with any."""
        for owner in owners:
            self.taken.pop(owner, None)

    def _use(self, ahead: Ahead, alike: Hashable) -> bool:
        is_good = self._clock.monotonic() < ahead.good_until
        ahead.left -= 1
        ahead.is_idle = False
        if ahead.left == 0 or not is_good:
            del self.ahead[alike]
        return is_good

    def give_up_idle(self) -> None:
        """Give back what was used in advance and of which the last trip took nothing."""
        idle = [alike for alike, ahead in self.ahead.items() if ahead.is_idle]
        if idle:
            self._give_up([self.ahead.pop(alike) for alike in idle])
        for ahead in self.ahead.values():
            ahead.is_idle = True

    def give_up(self) -> None:
        """Give back what was used for jobs that did not come."""
        unused = list(self.ahead.values())
        self.ahead.clear()
        self._give_up(unused)

    def _give_up(self, unused: Iterable[Ahead]) -> None:
        parts = [(ahead.left, ahead.server_ms, ahead.quotas) for ahead in unused]
        self._run(self.scripts.give_up(self._of, parts))

    def free(self, quotas: Sequence[Quota], owner: JobId) -> None:
        """Give the job's slots back and call in who waits for them."""
        self._run(self.scripts.free_slots(self._of, owner.encode(), quotas))
        self._forget(quotas, owner)

    def free_at_end(self, quotas: Sequence[Quota], owner: JobId) -> None:
        """Do the same for a job whose run ends now; of one of several threads, with the next trip.

        Needs no guard.
        """
        if not self.is_shared:
            self.free(quotas, owner)
            return
        self._forget(quotas, owner)
        self.freed.append((quotas, owner))

    def _forget(self, quotas: Sequence[Quota], owner: JobId) -> None:
        left = [quota for quota in self.taken.pop(owner, []) if quota not in quotas]
        if left:
            self.taken[owner] = left

    def run_after_freeing(self, calls: Sequence[Call]) -> list[Reply]:
        """Run scripts, in the same trip after what goes back; raises errors of the core."""
        with self._broker.translating():
            try:
                return self.send_after_freeing(calls)
            except Disconnected:
                self._line.drop()
                return self.send_after_freeing(calls)
            except GONE:
                self._line.drop()
                raise

    def send_after_freeing(self, calls: Sequence[Call]) -> list[Reply]:
        """Do so once; raises what the client library raises. To free twice is harmless.

        Before a job can come again that had the slots, its end is told, and they go before that.
        """
        count = len(self.freed)
        if not count and len(calls) == 1:
            return [self._line.run(calls[0])]
        # Other threads put more behind these meanwhile, so a walk through it would not do.
        before = [
            self.scripts.free_slots(self._of, owner.encode(), quotas)
            for quotas, owner in (self.freed[at] for at in range(count))
        ]
        replies = self._line.run_all([*before, *calls])[count:]
        for _ in range(count):
            self.freed.popleft()
        return replies

    def free_of(self, owners: Iterable[JobId]) -> None:
        """Give back what these jobs, which have ended, still have."""
        for owner in owners:
            if owner in self.taken:
                self.free(self.taken[owner], owner)

    def hit(self, quota: Quota) -> None:
        """Count a fault, or a start that need not wait; twice when the answer is lost."""
        self._run(self.scripts.hit(quota, forget=False))

    def take_each(self, quotas: Sequence[Quota]) -> list[float | None]:
        """Use each of many rates on its own; None for each that was used, else the seconds to wait.

        Raises `LeaseLost`. When the answer is lost one may be used twice, never too little.
        """
        waits = self._run(self.scripts.take_each(self._of, quotas))
        if waits == [_LEASE_LOST]:
            raise LeaseLost(self._holder)
        return [None if wait < 0 else wait / 1000 for wait in waits]

    def clear(self, quota: Quota) -> None:
        """Forget all faults."""
        self._run(self.scripts.hit(quota, forget=True))

    def _run(self, call: Call) -> Reply:
        with self._broker.translating():
            try:
                return self._line.run(call)
            except Disconnected:
                self._line.drop()
                return self._line.run(call)
            except GONE:
                self._line.drop()
                raise
