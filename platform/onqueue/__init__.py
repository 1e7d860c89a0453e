"""A job queue: leased, fenced, at least once. The public names are these."""

from onqueue import errors, events
from onqueue.bus import (
    Batch,
    CallClosure,
    CallFunction,
    Chain,
    PendingBatch,
    batch,
    call,
    chain,
    dispatch,
    dispatch_many,
    find_batch,
)
from onqueue.connections import QueueManager, current_manager, use, using
from onqueue.control import cancel, progress_of
from onqueue.errors import OnQueueError
from onqueue.injection import injected
from onqueue.job import Job
from onqueue.registry import alias

__all__ = [
    "Batch",
    "CallClosure",
    "CallFunction",
    "Chain",
    "Job",
    "OnQueueError",
    "PendingBatch",
    "QueueManager",
    "alias",
    "batch",
    "call",
    "cancel",
    "chain",
    "current_manager",
    "dispatch",
    "dispatch_many",
    "errors",
    "events",
    "find_batch",
    "injected",
    "progress_of",
    "use",
    "using",
]
