"""A job queue: leased, fenced, at least once. The public names are these."""

from onqueue import errors, events
from onqueue.bus import CallClosure, CallFunction, call, dispatch, dispatch_many
from onqueue.connections import QueueManager, current_manager, use, using
from onqueue.control import progress_of
from onqueue.errors import OnQueueError
from onqueue.injection import injected
from onqueue.job import Job

__all__ = [
    "CallClosure",
    "CallFunction",
    "Job",
    "OnQueueError",
    "QueueManager",
    "call",
    "current_manager",
    "dispatch",
    "dispatch_many",
    "errors",
    "events",
    "injected",
    "progress_of",
    "use",
    "using",
]
