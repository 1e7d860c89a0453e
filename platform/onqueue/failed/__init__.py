"""Where jobs go that failed for good, and how they come back."""

from onqueue.failed.memory import MemoryFailedJobs
from onqueue.failed.null import NullFailedJobs
from onqueue.failed.retry import retry_failed, retry_push

__all__ = ["MemoryFailedJobs", "NullFailedJobs", "retry_failed", "retry_push"]
