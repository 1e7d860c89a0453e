"""Jobs written with the business transaction, and what brings them to the broker afterwards."""

from onqueue.outbox.loop import run_forever
from onqueue.outbox.reconciler import Reconciler, ReconcilerReport
from onqueue.outbox.relay import Relay, RelayReport
from onqueue.outbox.store import SqlOutbox
from onqueue.outbox.tables import create_all, job_outbox, metadata
from onqueue.outbox.transactions import SqlAlchemyTransactions

__all__ = [
    "Reconciler",
    "ReconcilerReport",
    "Relay",
    "RelayReport",
    "SqlAlchemyTransactions",
    "SqlOutbox",
    "create_all",
    "job_outbox",
    "metadata",
    "run_forever",
]
