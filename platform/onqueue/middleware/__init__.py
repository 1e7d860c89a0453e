"""What may wrap a job's `handle`."""

from onqueue.middleware.database_transaction import DatabaseTransaction
from onqueue.middleware.fail_on_exception import FailOnException
from onqueue.middleware.pipeline import Middleware, Next, run_pipeline
from onqueue.middleware.rate_limited import RateLimited
from onqueue.middleware.skip import Skip
from onqueue.middleware.skip_if_batch_cancelled import SkipIfBatchCancelled
from onqueue.middleware.throttles_exceptions import ThrottlesExceptions
from onqueue.middleware.without_overlapping import WithoutOverlapping

__all__ = [
    "DatabaseTransaction",
    "FailOnException",
    "Middleware",
    "Next",
    "RateLimited",
    "Skip",
    "SkipIfBatchCancelled",
    "ThrottlesExceptions",
    "WithoutOverlapping",
    "run_pipeline",
]
