"""The scripts about ties: claims, chains, batches, and what they leave to be done later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onqueue.contracts import ONCE_WINDOW
from onqueue.drivers.redis.keys import bulk
from onqueue.drivers.redis.scripts import Call, call, flag, milliseconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onqueue.drivers.redis.keys import HolderKeys
    from onqueue.drivers.redis.scripts import Scripts

PATIENCE = 86_400.0
"""Seconds after which a plan that was staged and never started is deleted."""


class TiedScripts:
    """The part of a connection's scripts that only jobs with ties need."""

    def __init__(self, scripts: Scripts) -> None:
        """Share the keys and the clock's offset of the connection's other scripts."""
        self._scripts = scripts
        self.keys = scripts.keys

    @property
    def _offset(self) -> bytes:
        return milliseconds(self._scripts.offset)

    @property
    def _desk(self) -> bytes:
        return self._scripts.desk

    def receive(
        self,
        parcel: bytes,
        *,
        pusher: bytes,
        sequence: int,
        repeated: bool,
        once: float,
        seen: bytes,
    ) -> Call:
        """Store a job with a tie that counts; `seen` is a key when it is pushed once."""
        return call(
            "receive",
            [pusher, *([seen] if once > 0 else [])],
            [
                *(bulk(b"%d" % sequence), flag(repeated), milliseconds(once)),
                *(self._desk, bulk(parcel)),
            ],
        )

    def processing(self, of: HolderKeys, job_id: bytes) -> Call:
        """Give back a claim that is held until processing."""
        return call(
            "processing",
            [self.keys.holders, of.held, self.keys.ties],
            [of.holder, bulk(job_id), self._desk],
        )

    def free_claim(self, key: str) -> Call:
        """Take a claim from its owner."""
        return call("free_claim", [self.keys.claims], [bulk(key.encode()), self._desk])

    # ---- plans ----

    def stage(self, plan: bytes, names: Sequence[bytes]) -> Call:
        """Write down which keys a plan is about to use."""
        return call(
            "stage",
            [self.keys.plans, bulk(plan)],
            [self._offset, milliseconds(PATIENCE), *map(bulk, names)],
        )

    def start(self, plan: bytes, parcel: bytes, token: str = "") -> Call:
        """Start a staged chain or batch, with a token at most once."""
        seen = [self.keys.seen(token.encode())] if token else []
        return call(
            "start",
            [self.keys.plans, bulk(plan), *seen],
            [self._desk, milliseconds(ONCE_WINDOW), bulk(parcel)],
        )

    def add(self, plan: bytes, batch: bytes, count: int, parcel: bytes) -> Call:
        """Add staged members to a batch."""
        return call(
            "add",
            [self.keys.plans, bulk(plan), bulk(batch)],
            [self._desk, bulk(b"%d" % count), bulk(parcel)],
        )

    def finish_amended(
        self,
        of: HolderKeys,
        job_id: bytes,
        outcome: str,
        plan: bytes,
        before: Sequence[bytes],
        behind: Sequence[bytes],
    ) -> Call:
        """Remove a job that has ended well and change its chain before that goes on."""
        keys = self.keys
        return call(
            "finish_amended",
            [
                *(keys.holders, of.held, of.unstarted, of.unfinished),
                *(keys.payloads, keys.state, keys.ties, keys.plans, bulk(plan)),
            ],
            [
                *(of.holder, bulk(job_id), bulk(outcome.encode()), self._desk),
                *(bulk(b"%d" % len(before)), *map(bulk, (*before, *behind))),
            ],
        )

    # ---- batches ----

    def cancel_batch(self, batch: bytes) -> Call:
        """Cancel a batch."""
        return call("cancel_batch", [bulk(batch)], [self._offset])

    def forget_batch(self, batch_id: str) -> Call:
        """Delete what is known of a batch."""
        keys = self.keys
        return call(
            "forget_batch",
            [bulk(keys.batch(batch_id)), bulk(keys.members(batch_id)), keys.batches],
            [bulk(batch_id.encode()), self._desk],
        )

    # ---- what is left to be done ----

    def errand(self) -> Call:
        """Go on with what a script left over."""
        return call("errand", [self.keys.errands], [self._desk])

    def tidy(self) -> Call:
        """Free orphaned claims and delete keys of plans that are over."""
        keys = self.keys
        return call("tidy", [keys.claims, keys.successors, keys.plans], [self._desk])
