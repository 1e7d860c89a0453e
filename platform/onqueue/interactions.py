"""A run that never was: what a job asked of its queue, kept to be asserted on in a test.

run = job.with_fake_queue_interactions()
job.handle()
run.assert_released(delay=30)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onqueue.checkpoint import Progress, RunOnly, read_progress
from onqueue.job_context import JobContext
from onqueue.options import seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import svcs

    from onqueue.bus.rehearsal import Rehearsal
    from onqueue.job import Job
    from onqueue.job_context import Order
    from onqueue.options import Seconds

FAKE_ID = "0" * 32


class FakeLifeline:
    """A lease that lasts, and a worker that goes on, until the test says otherwise."""

    def __init__(self) -> None:
        """Hold the lease."""
        self.holder = "fake"
        self.has_lease = True
        self.is_stopping = False

    def holds_lease(self) -> bool:
        """Tell whether the test has taken the lease away."""
        return self.has_lease

    def should_stop(self) -> bool:
        """Tell whether the test has asked the worker to end."""
        return self.is_stopping


class Interactions:
    """What the job ordered during its run, and assertions about it.

    They raise `AssertionError` and say what was ordered instead.
    """

    def __init__(
        self,
        rehearsal: Rehearsal,
        *,
        attempts: int = 1,
        context: Mapping[str, str] | None = None,
        services: svcs.Registry | None = None,
        notes: RunOnly | None = None,
    ) -> None:
        """Begin a run; `attempts` includes it. `notes` are those of an earlier run."""
        self._lifeline = FakeLifeline()
        self.notes = notes or RunOnly()
        self.context = JobContext(
            job_id=FAKE_ID,
            attempts=attempts,
            connection="fake",
            queue="fake",
            context=context or {},
            lifeline=self._lifeline,
            services=services,
            checkpoints=self.notes,
        )
        self.context.surroundings = self._rehearsal = rehearsal

    # ---- what may happen around the job ----

    def stop_worker(self) -> None:
        """Let the job see that its worker is to end."""
        self._lifeline.is_stopping = True

    def lose_lease(self) -> None:
        """Let the job see that its run no longer counts."""
        self._lifeline.has_lease = False

    def cancel(self) -> None:
        """Let the job see that it was cancelled."""
        self.context.is_cancelled = lambda: True

    # ---- what the job did ----

    @property
    def order(self) -> Order | None:
        """The first thing the job ordered; None when it let things take their course."""
        return self.context.order

    def assert_released(self, delay: Seconds | None = None) -> None:
        """Fail unless the job released itself, with this delay if one is given."""
        self._assert_postponed("release", "released itself", delay)

    def assert_snoozed(self, delay: Seconds | None = None) -> None:
        """Fail unless the job snoozed, with this delay if one is given."""
        self._assert_postponed("snooze", "snoozed", delay)

    def assert_not_released(self) -> None:
        """Fail when the job released itself."""
        self._check(self._kind() != "release", "the job was not to release itself")

    def assert_deleted(self) -> None:
        """Fail unless the job deleted itself."""
        self._check(self._kind() == "delete", "the job was to delete itself")

    def assert_not_deleted(self) -> None:
        """Fail when the job deleted itself."""
        self._check(self._kind() != "delete", "the job was not to delete itself")

    def assert_failed(self) -> None:
        """Fail unless the job failed itself."""
        self._check(self._kind() == "fail", "the job was to fail itself")

    def assert_not_failed(self) -> None:
        """Fail when the job failed itself."""
        self._check(self._kind() != "fail", "the job was not to fail itself")

    def assert_failed_with(self, error: type[BaseException] | BaseException | str) -> None:
        """Fail unless the job failed itself with this error, its type, or an error of this text."""
        self.assert_failed()
        given = self.order.error if self.order is not None else None
        if isinstance(error, type):
            is_it = isinstance(given, error)
        elif isinstance(error, BaseException):
            is_it = type(given) is type(error) and str(given) == str(error)
        else:
            is_it = str(given) == error
        self._check(is_it, f"the job was to fail itself with {error!r}")

    def assert_has_chain(self, links: Sequence[type[Job] | Job]) -> None:
        """Fail unless the job put these into its chain: what it prepended, then what it appended.

        A link is given as a class, or as a job with the same fields.
        """
        added = [*self._rehearsal.prepended, *self._rehearsal.appended]
        is_it = len(added) == len(links) and all(
            isinstance(one, want) if isinstance(want, type) else one == want
            for one, want in zip(added, links, strict=True)
        )
        if not is_it:
            msg = f"the job was to add {list(links)} to its chain, but added {added or 'nothing'}"
            raise AssertionError(msg)

    @property
    def progress(self) -> Progress | None:
        """What the job last reported of itself; None when it did not."""
        if self.context.checkpoint is not None:
            self.context.checkpoint.flush()
        return read_progress(self.notes.progress.get(FAKE_ID))

    def assert_nothing_ordered(self) -> None:
        """Fail when the job ordered anything."""
        self._check(self.order is None, "the job was to let things take their course")

    def _kind(self) -> str:
        return "" if self.order is None else self.order.kind

    def _assert_postponed(self, kind: str, words: str, delay: Seconds | None) -> None:
        given = self.order.delay if self.order is not None else 0.0
        is_it = self._kind() == kind and (delay is None or given == seconds(delay))
        after = "" if delay is None else f" for {seconds(delay):g} s"
        self._check(is_it, f"the job was to have {words}{after}")

    def _check(self, holds: bool, words: str) -> None:  # noqa: FBT001 - the fact itself
        if not holds:
            msg = f"{words}, but it ordered {self.order or 'nothing'}"
            raise AssertionError(msg)
