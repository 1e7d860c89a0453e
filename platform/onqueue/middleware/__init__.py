"""What may wrap a job's `handle`."""

from onqueue.middleware.database_transaction import DatabaseTransaction
from onqueue.middleware.pipeline import Middleware, Next, run_pipeline
from onqueue.middleware.without_overlapping import WithoutOverlapping

__all__ = ["DatabaseTransaction", "Middleware", "Next", "WithoutOverlapping", "run_pipeline"]
