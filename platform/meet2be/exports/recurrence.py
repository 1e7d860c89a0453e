"""When a schedule is due next: a time of day in its zone, whatever the clocks there do."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Rule:
    """Daily, weekly on ``weekday`` (0 is Monday) or monthly on ``monthday``, at ``at``."""

    repeat: str
    at: time
    weekday: int = 0
    monthday: int = 1

    def next_after(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """Return the first tick later than a moment, in UTC.

        A time that the clocks leap over comes as much later as they leap; one that they repeat
        comes the first time.
        """
        ticks = (
            datetime.combine(day, self.at, zone).astimezone(UTC)
            for day in self._days(moment.astimezone(zone).date())
        )
        return next(tick for tick in ticks if tick > moment)

    def _days(self, first: date) -> Iterator[date]:
        # From the day before: east of the date line it may still be to come.
        day = first - timedelta(days=1)
        while True:
            if self._fits(day):
                yield day
            day += timedelta(days=1)

    def _fits(self, day: date) -> bool:
        if self.repeat == "weekly":
            return day.weekday() == self.weekday
        if self.repeat == "monthly":
            last = monthrange(day.year, day.month)[1]
            return day.day == min(self.monthday, last)
        return True
