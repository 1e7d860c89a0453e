"""Where batches are kept: in their connection's broker, or in a database for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from onqueue.errors import UnsupportedByDriver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onqueue.connections import QueueManager
    from onqueue.contracts import JobId, Message
    from onqueue.plans import BatchId, BatchPlan, BatchState, ChainPlan


class BatchStore(Protocol):
    """What keeps the batches of one connection; a driver that declares "batches" is one."""

    def start_batch(self, plan: BatchPlan) -> bool:
        """Store the batch and push its members, all or nothing; False when it was started."""
        ...

    def add_to_batch(self, batch_id: BatchId, members: Sequence[Message | ChainPlan]) -> int:
        """Add members; return how many jobs, 0 when the batch has ended or is unknown."""
        ...

    def cancel_batch(self, batch_id: BatchId) -> bool:
        """Let waiting members end unrun; False when it has ended or was cancelled before."""
        ...

    def forget_batch(self, batch_id: BatchId) -> bool:
        """Delete what is known of the batch; its jobs stay. False when it was not there."""
        ...

    def batch(self, batch_id: BatchId) -> BatchState | None:
        """Return how the batch stands."""
        ...

    def batches(self, after: BatchId | None = None, limit: int = 50) -> list[BatchState]:
        """Return the newest first; `after` is the id of the last one seen."""
        ...

    def failed_members(self, batch_id: BatchId) -> list[JobId]:
        """Return the members that have failed and were not retried, sorted."""
        ...


def store_of(manager: QueueManager, connection: str, batch_id: BatchId = "") -> BatchStore:
    """Return what keeps a connection's batches; raises `UnsupportedByDriver`.

    Where a database keeps them, the broker still keeps those that are links of chains: it is the
    store of such a `batch_id`.
    """
    queue = manager.connection(connection)
    has_own = "batches" in queue.supports
    if manager.batches is not None and "leases" in queue.supports:
        database = manager.batches.of(manager, queue.name)
        if not (has_own and batch_id) or database.batch(batch_id) is not None:
            return database
    if not has_own:
        raise UnsupportedByDriver("batch", queue.name, queue.config.driver, "to be counted")
    return cast("BatchStore", queue)


def keeping_batches(manager: QueueManager) -> list[str]:
    """Return the names of the connections that keep batches, the default one first."""
    names = sorted(manager.configs, key=lambda name: name != manager.default)
    needed = {"batches"} if manager.batches is None else {"batches", "leases"}
    return [name for name in names if needed & manager.connection(name).supports]


def find_state(
    manager: QueueManager, batch_id: BatchId, connection: str | None = None
) -> tuple[str, BatchState] | None:
    """Return where a batch is kept and how it stands; without a connection all are asked."""
    for name in [connection] if connection else keeping_batches(manager):
        state = store_of(manager, name, batch_id).batch(batch_id)
        if state is not None:
            return name, state
    return None
