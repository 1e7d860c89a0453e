"""The scripts about quotas and pauses, packed as those of `scripts`, one method a script."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onqueue.drivers.redis.keys import bulk
from onqueue.drivers.redis.scripts import Call, call, milliseconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onqueue.drivers.redis.keys import HolderKeys, Keys, QueueKeys
    from onqueue.drivers.redis.scripts import Scripts
    from onqueue.quotas import Quota


class LimitScripts:
    """What limits and pauses ask of the server of a connection."""

    def __init__(self, scripts: Scripts) -> None:
        """Share the keys and the clock's offset of the connection's other scripts."""
        self._scripts = scripts
        self.keys: Keys = scripts.keys

    def let_through(
        self,
        of: HolderKeys,
        queue: QueueKeys,
        job_id: bytes,
        quotas: Sequence[Quota],
        ahead: int = 0,
    ) -> Call:
        """Let a job through all quotas or none, and perhaps some like it that come next."""
        keys = self.keys
        lane = bulk(keys.waiting_lane(queue, quotas))
        return call(
            "let_through",
            [keys.holders, keys.payloads, keys.granted, of.held_slots, lane],
            [
                *(of.holder, bulk(job_id), self._offset),
                *(bulk(self._lines(quotas)), bulk(b"%d" % ahead)),
            ],
        )

    def give_up(self, of: HolderKeys, unused: Sequence[tuple[int, int, Sequence[Quota]]]) -> Call:
        """Give back rates used in advance: how many, until when (the server's ms), and of what."""
        args = [of.holder, self._offset]
        for count, until, quotas in unused:
            args += map(bulk, (b"%d" % count, b"%d" % until, self._lines(quotas)))
        return call("give_up", [self.keys.holders, self.keys.lanes], args)

    def wait_turn(
        self, of: HolderKeys, queue: QueueKeys, job_id: bytes, quotas: Sequence[Quota]
    ) -> Call:
        """Let a job wait until its quotas let it through."""
        keys = self.keys
        lane = keys.waiting_lane(queue, quotas)
        sign = queue.sign + b"\n" + self._lines(quotas)
        return call(
            "wait_turn",
            [
                *(keys.holders, of.held, of.unstarted, of.unfinished, keys.payloads, keys.granted),
                *(keys.parked, keys.lanes, bulk(lane), queue.timers, queue.wake, queue.lodging),
            ],
            [
                *(of.holder, bulk(job_id), self._offset),
                *(bulk(queue.place + b"\n" + lane), bulk(sign)),
            ],
        )

    def free_slots(self, of: HolderKeys, job_id: bytes, quotas: Sequence[Quota]) -> Call:
        """Give a job's slots back."""
        return call(
            "free_slots",
            [of.held_slots, self.keys.lanes],
            [of.holder, bulk(job_id), self._offset, bulk(self._lines(quotas))],
        )

    def free_slots_of(self, of: HolderKeys) -> Call:
        """Free slots of a condemned holder."""
        return call(
            "free_slots_of",
            [self.keys.holders, of.held_slots, self.keys.lanes],
            [of.holder, self._offset],
        )

    def hit(self, quota: Quota, *, forget: bool) -> Call:
        """Count a fault or a start, or forget all."""
        count = bulk(self.keys.quota(quota)[0])
        span = milliseconds(0 if forget else quota.span)
        most = bulk(b"%d" % (quota.most if quota.kind == "moving" else 0))
        return call("hit", [count], [self._offset, span, most])

    def take_each(self, of: HolderKeys, quotas: Sequence[Quota]) -> Call:
        """Use each of many rates on its own."""
        args = [of.holder, self._offset, bulk(self._lines(quotas))]
        return call("take_each", [self.keys.holders], args)

    def rearm(self) -> Call:
        """Set timers that are missing."""
        keys = self.keys
        return call("rearm", [keys.holders, keys.payloads, keys.lanes], [self._offset])

    def pause(self, field: bytes, value: bytes) -> Call:
        """Begin or change a pause, or (an empty value) end it."""
        keys = self.keys
        return call(
            "pause",
            [keys.paused, keys.lanes, bulk(keys.pause_waiters(field))],
            [bulk(field), bulk(value), self._offset],
        )

    @property
    def _offset(self) -> bytes:
        return milliseconds(self._scripts.offset)

    def _lines(self, quotas: Sequence[Quota]) -> bytes:
        return b"\n".join(self._line(quota) for quota in quotas)

    def _line(self, quota: Quota) -> bytes:
        """Return kind, most, span in ms, the keys of its count and its waiters, and a field."""
        count, waiters, field = self.keys.quota(quota)
        span = -int(-quota.span * 1000 // 1)
        head = b"%b %d %d" % (quota.kind[:1].encode(), quota.most, span)
        return b" ".join((head, count, waiters, field)).rstrip()
