"""What becomes of exports by itself: those that are due are asked for, old files are removed."""

from meet2be.exports.expiry import expire
from meet2be.exports.running import Counter
from meet2be.exports.schedules import run_due
from onqueue import Job


class RunExportSchedules(Job):
    """Asks for the exports of schedules that are due."""

    connection = "redis"
    queue = "default"
    timeout = 120
    tries = 1

    def handle(self, counter: Counter) -> None:
        """Ask for them; what this run misses, the next one does."""
        run_due(counter.database, counter.clock)


class ExpireExports(Job):
    """Removes the files of exports after their 7 days, and what killed workers left."""

    connection = "redis"
    queue = "low"
    timeout = 600
    tries = 1

    def handle(self, counter: Counter) -> None:
        """Remove some; the next run goes on."""
        expire(counter)
