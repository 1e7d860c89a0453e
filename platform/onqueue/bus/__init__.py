"""Where jobs enter. Importing this connects `job.dispatch()` and the sync driver with the core."""

from onqueue.bus.dispatcher import (
    Dispatcher,
    current_dispatcher,
    dispatch,
    dispatch_many,
    dispatcher_of,
)
from onqueue.bus.inline import run_inline

__all__ = [
    "Dispatcher",
    "current_dispatcher",
    "dispatch",
    "dispatch_many",
    "dispatcher_of",
    "run_inline",
]
