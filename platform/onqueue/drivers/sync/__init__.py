"""A connection that runs its jobs inside the dispatching process, at once."""

from onqueue.drivers.sync.connection import SyncQueue
from onqueue.drivers.sync.plans import End, InlinePlans, Run

__all__ = ["End", "InlinePlans", "Run", "SyncQueue"]
