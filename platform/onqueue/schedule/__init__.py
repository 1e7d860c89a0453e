"""What is due at which time: a schedule of jobs, run by one of several processes."""

from onqueue.schedule.definition import Entry, Schedule

__all__ = ["Entry", "Schedule"]
