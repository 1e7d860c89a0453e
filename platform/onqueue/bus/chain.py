"""Chains: jobs one after the other, each only when the one before it ended well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from onqueue.bus.after_response import when_answered
from onqueue.bus.callbacks import callback_job
from onqueue.bus.dispatcher import current_dispatcher
from onqueue.bus.functions import as_job
from onqueue.bus.planning import BatchSketch, ChainSketch, listed, placed
from onqueue.config import QUEUE_NAME, is_queue_name
from onqueue.errors import NotBatchable
from onqueue.job import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self

    from onqueue.bus.batch import PendingBatch
    from onqueue.plans import ChainId

Link: TypeAlias = "Job | PendingBatch | Callable[..., object]"
"""A function becomes a job."""

Heard: TypeAlias = "Job | Callable[..., object]"
"""A callback: a job that is pushed as it is, or a function."""


class Chain:
    """A chain that is not dispatched yet: `chain([A(), B()]).catch(tell).dispatch()`."""

    def __init__(self, links: Iterable[Link]) -> None:
        """Raise `NotBatchable` with the place of what cannot be a link."""
        given = enumerate(listed("chain", links), 1)
        self.sketch = ChainSketch([_link(number, link) for number, link in given])

    def catch(self, callback: Heard) -> Self:
        """Run this, as a job of its own, when a link fails or is cancelled.

        A function is called with the error of the link (`MemberFailed`), if it takes an argument.
        """
        self.sketch.catch.append(callback_job("catch", callback))
        return self

    def on_connection(self, connection: str) -> Self:
        """Choose the connection of the links that name none."""
        self.sketch.connection = connection
        return self

    def on_queue(self, queue: str) -> Self:
        """Choose the queue of the links that name none."""
        self.sketch.queue = checked_queue(queue)
        return self

    def name(self, name: str) -> Self:
        """Choose the name by which people know the chain."""
        self.sketch.name = name
        return self

    def on_skip(self, what: Literal["continue", "stop"]) -> Self:
        """Say whether the chain goes on after a link that was skipped; it does unless told."""
        if what not in {"continue", "stop"}:
            msg = f"on_skip() of a chain is 'continue' or 'stop', not {what!r}"
            raise ValueError(msg)
        self.sketch.on_skip = what
        return self

    def delay(self, *args: Any, **kwargs: Any) -> Self:
        """Let the first link wait, as `delay` of a job does."""
        first = self.sketch.links[0] if self.sketch.links else None
        if not isinstance(first, Job):
            msg = "Only a chain whose first link is a job can be delayed"
            raise NotBatchable(msg)
        first.delay(*args, **kwargs)
        return self

    def after_commit(self) -> Self:
        """Hold the chain back until the open transaction is committed."""
        self.sketch.waits = True
        return self

    def before_commit(self) -> Self:
        """Start the chain at once, whatever transaction is open."""
        self.sketch.waits = False
        return self

    def dispatch(self) -> ChainId:
        """Start the chain and return its id; raises what the dispatch of a link raises."""
        return current_dispatcher().dispatch_chain(self.sketch)

    def dispatch_if(self, condition: object) -> ChainId | None:
        """Start the chain when the condition holds; None when it does not."""
        return self.dispatch() if condition else None

    def dispatch_unless(self, condition: object) -> ChainId | None:
        """Start the chain unless the condition holds; None when it does."""
        return None if condition else self.dispatch()

    def dispatch_after_response(self) -> None:
        """Start the chain once the response of the present request is sent; outside of one, now."""
        when_answered("chain", self.dispatch)

    def dispatch_sync(self) -> ChainId:
        """Run the links here and now, whatever their connections; raises what a link raises."""
        return current_dispatcher().dispatch_chain_sync(self.sketch)


def chain(links: Iterable[Link]) -> Chain:
    """Return a chain of jobs, functions and batches, to be dispatched."""
    return Chain(links)


def checked_queue(queue: str) -> str:
    """Return the queue's name; raises `ValueError` for what is none."""
    if not is_queue_name(queue):
        msg = f"{queue!r} is no name of a queue: {QUEUE_NAME}"
        raise ValueError(msg)
    return queue


def _link(number: int, link: Any) -> Job | BatchSketch:
    sketch = getattr(link, "sketch", None)
    if isinstance(sketch, BatchSketch):
        return sketch
    with placed(f"link {number} of the chain"):
        if isinstance(link, Chain | list | tuple):
            kind = type(link).__name__
            raise NotBatchable(f"A {kind} cannot be a link: write its jobs into the chain itself")
        return as_job(link)
