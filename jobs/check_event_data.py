"""Compare the kept figures with the refund ledger, each night."""

from meet2be.db import Database
from meet2be.figures.checking import check_all_tx
from onqueue import Job
from onqueue.contracts import Clock


class CheckEventData(Job):
    """Has figures that do not fit the refund ledger to the cent computed anew."""

    connection = "redis"
    queue = "low"
    timeout = 300
    tries = 2

    def handle(self, database: Database, clock: Clock) -> None:
        """Check every event that has figures."""
        check_all_tx(database, clock.now())
