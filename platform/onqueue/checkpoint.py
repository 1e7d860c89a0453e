"""Where a long job would go on after an interruption, and how far it is for those who watch.

    for guest in self.checkpoint.each(guests):
        invite(guest)

A row counts as done when the loop asks for the next one. What is done is saved every half second
and at each orderly interruption, so a deploy repeats nothing, and a crash at most half a second.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from onqueue.clock import SystemClock
from onqueue.errors import BrokerError, CheckpointError, LeaseLost, RunEnded
from onqueue.job_context import Order

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onqueue.contracts import Checkpoints, Clock, JobId
    from onqueue.job_context import JobContext

T = TypeVar("T")
Rows = Iterable[T] | Callable[[int], Iterable[T]]

SAVE_EVERY: Final = 0.5
"""Seconds between two saves, and between two reports of progress."""

LONGEST: Final = 1 << 20
"""Bytes of a checkpoint: it is a place in the work, not the work's result."""


@dataclass(slots=True, frozen=True)
class Progress:
    """How far a job is; `total` None: nobody knows. `at` is epoch seconds of the report."""

    done: int
    total: int | None = None
    note: str = ""
    at: float = 0.0

    @property
    def percent(self) -> float | None:
        """Return how much is done, from 0 to 100; None when the total is not known."""
        if self.total is None:
            return None
        return 100.0 if self.total <= 0 else min(100.0, 100.0 * self.done / self.total)


def read_progress(text: bytes | None) -> Progress | None:
    """Return the progress that a job reported, None when there is none."""
    return None if text is None else Progress(**json.loads(text))


class RunOnly:
    """Notes that end with the process: for a job that runs at once, and for tests."""

    def __init__(self) -> None:
        """Hold nothing."""
        self.checkpoints: dict[JobId, bytes] = {}
        self.progress: dict[JobId, bytes] = {}

    def load(self, job_id: JobId) -> bytes | None:
        """Return the checkpoint of a job, None when it has none."""
        return self.checkpoints.get(job_id)

    def save(self, job_id: JobId, text: bytes) -> bool:
        """Replace the checkpoint of a job."""
        self.checkpoints[job_id] = text
        return True

    def report(self, job_id: JobId, text: bytes) -> bool:
        """Replace the progress of a job."""
        self.progress[job_id] = text
        return True

    def drop(self, job_id: JobId) -> None:
        """Forget the checkpoint of a job."""
        self.checkpoints.pop(job_id, None)


def checkpoint_of(context: JobContext) -> Checkpoint:
    """Return the notes of a run, made at their first use."""
    if context.checkpoint is None:
        store = context.checkpoints or RunOnly()
        context.checkpoint = Checkpoint(context, store, context.clock or SystemClock())
    return context.checkpoint


class Checkpoint:
    """The notes of one run; what earlier attempts of the job noted is there again."""

    def __init__(self, context: JobContext, store: Checkpoints, clock: Clock) -> None:
        """Read nothing yet."""
        self._context = context
        self._store = store
        self._clock = clock
        self._values: dict[str, Any] | None = None
        self._is_changed = False
        self._progress: Progress | None = None
        self._saved_at = self._reported_at = float("-inf")

    # ---- for jobs ----

    def each(self, rows: Rows[T], *, key: str = "rows") -> Iterator[T]:
        """Yield the rows that are not done yet; `key` tells several such loops of a job apart.

        The rows must come in the same order each time. Given a function, it is called with the
        number of rows done and returns the rest. When the worker is to end, the run ends after
        the row at hand as a snooze, which spends no attempt; a cancelled run ends as well.
        """
        done = self._count(key)
        rest, total = _rest_of(rows, done)
        try:
            for row in rest:
                self._look_up_from_work()
                yield row
                done += 1
                self._note(f"each:{key}", done)
                self.report(done, total)
                self.save(now=False)
        finally:
            self._keep()

    def step(self, name: str, work: Callable[[], T]) -> T:
        """Do the work once: a later attempt gets what it returned, as JSON had it.

        Raises `CheckpointError` for a result that JSON cannot hold. A crash after the work and
        before the save repeats the work.
        """
        values = self._read()
        place = f"step:{name}"
        if place not in values:
            self._look_up_from_work()
            result = work()
            _checked(place, result)
            self._note(place, result)
            self.save()
        return cast("T", values[place])

    def get(self, name: str, default: Any = None) -> Any:
        """Return what was set under a name, in this attempt or an earlier one."""
        return self._read().get(f"value:{name}", default)

    def set(self, name: str, value: Any) -> None:
        """Note a value (anything JSON holds) and save it; raises `CheckpointError`."""
        place = f"value:{name}"
        _checked(place, value)
        self._note(place, value)
        self.save()

    # ---- saving ----

    def save(self, *, now: bool = True) -> None:
        """Save what changed; unless `now`, only when the last save is half a second ago.

        Raises `LeaseLost`. A broker that is away only delays a save.
        """
        instant = self._clock.monotonic()
        if not self._is_changed or (not now and instant - self._saved_at < SAVE_EVERY):
            return
        text = json.dumps(self._read(), separators=(",", ":")).encode()
        if len(text) > LONGEST:
            raise CheckpointError(self._context.job_id, f"it has {len(text)} bytes")
        self._saved_at = instant
        try:
            is_saved = self._store.save(self._context.job_id, text)
        except BrokerError:
            return
        if not is_saved:
            raise LeaseLost(self._context.holder, self._context.job_id)
        self._is_changed = False

    def report(self, done: int, total: int | None = None, note: str = "") -> None:
        """Let others see how far the job is; written at most twice a second."""
        self._progress = Progress(done, total, note, self._clock.time())
        instant = self._clock.monotonic()
        if instant - self._reported_at >= SAVE_EVERY:
            self._reported_at = instant
            self._tell()

    def flush(self) -> None:
        """Write what is not written yet; the end of each run does so."""
        self._keep()
        if self._progress is not None:
            self._tell()

    def drop(self) -> None:
        """Forget everything: the job has ended well."""
        if self._values:
            self._store.drop(self._context.job_id)

    # ---- inside ----

    def _look_up_from_work(self) -> None:
        """End the run between two pieces of work when somebody wants that."""
        context = self._context
        if context.cancelled:
            raise RunEnded
        if context.should_stop:
            context.give(Order("snooze"))
            raise RunEnded

    def _keep(self) -> None:
        """Save on the way out; what ended the run goes first, so nothing is raised here."""
        try:
            self.save()
        except LeaseLost:
            self._is_changed = False

    def _tell(self) -> None:
        progress, self._progress = self._progress, None
        if progress is not None:
            text = json.dumps(asdict(progress), separators=(",", ":")).encode()
            try:
                self._store.report(self._context.job_id, text)
            except BrokerError:
                self._progress = progress

    def _count(self, key: str) -> int:
        return int(self._read().get(f"each:{key}", 0))

    def _note(self, place: str, value: Any) -> None:
        self._read()[place] = value
        self._is_changed = True

    def _read(self) -> dict[str, Any]:
        if self._values is None:
            text = self._store.load(self._context.job_id)
            self._values = json.loads(text) if text else {}
        return self._values


def _rest_of(rows: Rows[T], done: int) -> tuple[Iterable[T], int | None]:
    """Return the rows after the first `done`, and how many there are in all if that is known."""
    if isinstance(rows, Iterable):
        total = len(rows) if isinstance(rows, Sized) else None
        if done and isinstance(rows, Sequence):
            return rows[done:], total
        return islice(rows, done, None), total
    rest = rows(done)
    return rest, done + len(rest) if isinstance(rest, Sized) else None


def _checked(place: str, value: Any) -> None:
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise CheckpointError(place, str(error)) from error
    if json.loads(text) != value:
        raise CheckpointError(place, f"{value!r:.80} comes back from JSON as something else")
