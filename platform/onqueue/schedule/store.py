"""Finds the schedule of a manager, and where its ticks are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from onqueue.errors import ConfigurationError, UnsupportedByDriver

if TYPE_CHECKING:
    from onqueue.connections import QueueManager
    from onqueue.schedule.definition import Schedule
    from onqueue.ticks import ScheduleStore


class KeepsSchedules(Protocol):
    """A connection on which a schedule can be kept."""

    def schedules(self) -> ScheduleStore:
        """Return the store, with a connection of its own."""
        ...


def schedule_of(manager: QueueManager) -> Schedule:
    """Return the manager's schedule; raises `ConfigurationError` without one."""
    if manager.schedule is None:
        problem = "there is none: give one to the QueueManager (schedule=…)"
        raise ConfigurationError("The schedule", [problem])
    manager.schedule.check()
    return manager.schedule


def store_of(manager: QueueManager) -> ScheduleStore:
    """Return the store of the manager's schedule; raises `UnsupportedByDriver`."""
    queue = manager.connection(schedule_of(manager).connection)
    if not hasattr(queue, "schedules"):
        raise UnsupportedByDriver("schedule", queue.name, queue.config.driver, "a schedule")
    return cast("KeepsSchedules", queue).schedules()
