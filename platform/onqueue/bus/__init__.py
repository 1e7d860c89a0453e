"""Where jobs enter. Importing this connects `job.dispatch()` and the sync driver with the core."""

from onqueue.bus.dispatcher import (
    Dispatcher,
    current_dispatcher,
    dispatch_many,
    dispatcher_of,
)
from onqueue.bus.functions import CallClosure, CallFunction, as_job, call, dispatch
from onqueue.bus.inline import run_inline

__all__ = [
    "CallClosure",
    "CallFunction",
    "Dispatcher",
    "as_job",
    "call",
    "current_dispatcher",
    "dispatch",
    "dispatch_many",
    "dispatcher_of",
    "run_inline",
]
