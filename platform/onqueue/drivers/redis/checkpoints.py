"""Notes about jobs that run: where a job would go on, and how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onqueue.drivers.redis.scripts import Code
from onqueue.drivers.redis.wire import packed

if TYPE_CHECKING:
    from onqueue.contracts import JobId
    from onqueue.drivers.redis.keys import HolderKeys
    from onqueue.drivers.redis.wire import Broker

CHECKPOINT_KEPT = 14 * 86_400
"""Seconds: a job that failed goes on from there when it is retried within two weeks."""

PROGRESS_KEPT = 86_400
"""Seconds for which a page can read how far a job came."""


class RedisCheckpoints:
    """The notes of one holder's jobs; a holder without its lease writes none.

    All of it is harmless to repeat, so it goes over the broker's shared lines: any thread may.
    """

    def __init__(self, of: HolderKeys, broker: Broker) -> None:
        """Write under a holder."""
        self._of = of
        self._broker = broker

    def load(self, job_id: JobId) -> bytes | None:
        """Return the checkpoint of a job, None when it has none."""
        [found] = self._broker.ask(packed(b"GET", self._broker.keys.checkpoint(job_id)))
        text: bytes | None = found
        return text

    def save(self, job_id: JobId, text: bytes) -> bool:
        """Replace the checkpoint of a job; False when its lease is lost."""
        return self._note(job_id, self._broker.keys.checkpoint(job_id), text, CHECKPOINT_KEPT)

    def report(self, job_id: JobId, text: bytes) -> bool:
        """Replace the progress of a job; False when its lease is lost."""
        return self._note(job_id, self._broker.keys.progress(job_id), text, PROGRESS_KEPT)

    def drop(self, job_id: JobId) -> None:
        """Forget the checkpoint of a job that has ended well."""
        self._broker.ask(packed(b"DEL", self._broker.keys.checkpoint(job_id)))

    def _note(self, job_id: JobId, key: bytes, text: bytes, seconds: int) -> bool:
        scripts = self._broker.scripts
        call = scripts.note(self._of, job_id.encode(), key=key, text=text, seconds=seconds)
        return int(self._broker.run(call)) == Code.DONE
