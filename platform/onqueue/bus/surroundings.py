"""What a running job reaches of its batch and its chain."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from onqueue.bus.announcing import BATCH, HOME
from onqueue.bus.batch import Batch
from onqueue.bus.chain import Chain
from onqueue.bus.dispatcher import Dispatcher
from onqueue.bus.home import Home
from onqueue.bus.planning import Planner, settled_links
from onqueue.bus.rehearsal import Rehearsal
from onqueue.bus.stores import find_state
from onqueue.connections import current_manager
from onqueue.errors import NotBatchable
from onqueue.job import Surroundings, install_surroundings
from onqueue.plans import ChainEdit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onqueue.bus.chain import Link
    from onqueue.job_context import JobContext


TENANT = "tenant"
"""Under which name a context tells whose job it is."""


class OfManager:
    """The surroundings that the manager in use knows."""

    def batch(self, context: JobContext) -> Batch | None:
        """Return the batch of the run as it stands now: of a callback, the one it is about."""
        if context.tie is not None and context.tie.batch:
            found = find_state(current_manager(), context.tie.batch, context.connection)
        elif BATCH in context.context:
            about = context.context
            found = find_state(current_manager(), about[BATCH], about.get(HOME))
        else:
            return None
        return Batch(*found) if found is not None else None

    def rehearsal(self) -> Rehearsal:
        """Return what stands in for both in a test."""
        return Rehearsal()

    def link(self, context: JobContext, links: Sequence[Link], *, front: bool) -> None:
        """Note links for the run's chain; raises `NotBatchable` when it is in none.

        They bear the run's tenant unless they are dispatched for another one.
        """
        if context.tie is None or not context.tie.chain:
            raise NotBatchable(f"Job {context.job_id} is no link of a chain that could be changed")
        manager = current_manager()
        tenant = {TENANT: context.context[TENANT]} if TENANT in context.context else {}
        dispatcher = Dispatcher(manager, tenant)
        planner = Planner(dispatcher, manager.default, manager.clock.now(), dispatcher.about())
        home = Home(
            connection=context.connection,
            queue=context.queue,
            batch=context.tie.batch,
            chain=context.tie.chain,
            binds=bool(context.tie.batch),
        )
        planned = planner.links(Chain(links).sketch.links, home, "what is added to the chain")
        made = settled_links(planned, context.connection)
        known = context.edit or ChainEdit()
        if front:
            context.edit = replace(known, prepend=(*made, *known.prepend))
        else:
            context.edit = replace(known, append=(*known.append, *made))


_of_manager = OfManager()


def surroundings() -> Surroundings:
    """Return what jobs of this process reach."""
    return _of_manager


install_surroundings(surroundings)
