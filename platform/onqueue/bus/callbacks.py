"""What runs when a chain or a batch comes to a turn: functions and jobs, each as a job of its own.

So they are retried, seen in their queue, and never lost with the worker that finished last.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from onqueue.bus.announcing import BATCH, HOME
from onqueue.bus.functions import FunctionJob, described, loaded, perform
from onqueue.bus.stores import keeping_batches, store_of
from onqueue.closures import title_of
from onqueue.connections import current_manager
from onqueue.errors import BatchFinished, MemberFailed
from onqueue.job import Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from onqueue.bus.batch import Batch
    from onqueue.plans import BatchId, CallbackKind

MOST_ASKED = 20
"""Failed members of an inner batch among which the first is looked for."""


class Callback(FunctionJob):
    """Calls a function with the batch, and at "catch" with the error, as far as it takes them."""

    name = "onqueue.Callback"
    tries = 5
    backoff = (1, 10, 60, 300)

    def handle(self) -> None:
        """Verify the function, then call it."""
        context = self.running()
        self.verify(context.keys)
        function = loaded(self.function)
        given = self._about(function)
        perform(function, given, {}, context)

    def _about(self, function: Callable[..., object]) -> list[Any]:
        run = self.running()
        takes = _positional(function)
        given: list[Any] = []
        if BATCH in run.context:
            batch = _batch(run.context[BATCH], run.context.get(HOME))
            given.append(batch)
            if self.kwargs["moment"] == "catch" and takes > 1:
                given.append(_error_of(run.about or batch.id, batch.connection))
        elif takes:
            given.append(_error_of(run.about, run.connection))
        return given[:takes]


def callback_job(moment: CallbackKind, callback: Job | Callable[..., object]) -> Job:
    """Return the job that is pushed at the moment: the given one, or the call of a function."""
    if isinstance(callback, Job):
        return callback
    return Callback(
        function=described(callback),
        args=[],
        kwargs={"moment": moment},
        title=title_of(callback),
        catcher={},
    )


def _positional(function: Callable[..., object]) -> int:
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return 2
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(parameter.kind in kinds for parameter in parameters)


def _batch(batch_id: BatchId, connection: str | None) -> Batch:
    from onqueue.bus.batch import find_batch

    found = find_batch(batch_id, connection)
    if found is None:
        raise BatchFinished(batch_id)
    return found


def _error_of(about: str, connection: str) -> MemberFailed:
    """Return the error of a job, or of the first member that failed of a batch that was a link."""
    manager = current_manager()
    failed = manager.failed.find(about)
    if failed is None and connection in keeping_batches(manager):
        members = store_of(manager, connection, about).failed_members(about)[:MOST_ASKED]
        known = [found for one in members if (found := manager.failed.find(one)) is not None]
        failed = min(known, key=lambda one: one.failed_at, default=None)
    if failed is None:
        return MemberFailed(about)
    return MemberFailed(failed.id, failed.job, failed.error_type, failed.error)
