"""The worker: a parent that keeps leases and deadlines, and a child that runs the jobs."""

from onqueue.worker.options import WorkerOptions
from onqueue.worker.stopping import StopReason
from onqueue.worker.worker import Worker

__all__ = ["StopReason", "Worker", "WorkerOptions"]
