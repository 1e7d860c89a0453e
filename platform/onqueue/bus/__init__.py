"""Where jobs enter. Importing this connects `job.dispatch()` and the sync driver with the core."""

from onqueue.bus.after_response import AfterResponse, after_response
from onqueue.bus.batch import Batch, PendingBatch, batch, find_batch
from onqueue.bus.chain import Chain, chain
from onqueue.bus.dispatcher import (
    Dispatcher,
    current_dispatcher,
    dispatch_many,
    dispatcher_of,
)
from onqueue.bus.functions import CallClosure, CallFunction, as_job, call, dispatch
from onqueue.bus.inline import run_inline
from onqueue.bus.surroundings import surroundings

__all__ = [
    "AfterResponse",
    "Batch",
    "CallClosure",
    "CallFunction",
    "Chain",
    "Dispatcher",
    "PendingBatch",
    "after_response",
    "as_job",
    "batch",
    "call",
    "chain",
    "current_dispatcher",
    "dispatch",
    "dispatch_many",
    "dispatcher_of",
    "find_batch",
    "run_inline",
    "surroundings",
]
