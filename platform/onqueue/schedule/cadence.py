"""When an entry of a schedule is due: a cron expression in a time zone, or an interval."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol
from zoneinfo import ZoneInfo, available_timezones

from onqueue.errors import ConfigurationError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")


class Cadence(Protocol):
    """Says when; moments are whole milliseconds since the epoch."""

    def after(self, moment: int) -> int | None:
        """Return the first tick after a moment; None when there never is one."""
        ...

    def __str__(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Interval:
    """Every so many milliseconds of absolute time, counted from the epoch.

    So all processes mean the same ticks whenever they were started, and a change of the clocks
    neither lengthens nor shortens one.
    """

    period: int

    def after(self, moment: int) -> int:
        """Return the first multiple of the period after a moment."""
        return (moment // self.period + 1) * self.period

    def __str__(self) -> str:
        seconds = self.period // 1000
        for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
            count, rest = divmod(seconds, size)
            if not rest:
                return f"every {unit}" if count == 1 else f"every {count} {unit}s"
        raise AssertionError(seconds)


class Cron:
    """A cron expression of five fields, read in a time zone.

    When the clocks change it keeps to Debian's cron (`man 8 cron`, which follows Vixie's). What
    runs at fixed times, so neither its minute nor its hour begins with `*`: a time that the change
    leaves out comes once, at the end of the gap, and a time that comes twice counts the first
    time. All else, such as `*/10 * * * *`, goes on with the time that passes.
    """

    def __init__(self, expression: str, timezone: str) -> None:
        """Raise `ConfigurationError` for an expression or a zone that cannot be."""
        self.expression = " ".join(expression.split())
        self.timezone = timezone
        self._zone = _zone(timezone)
        fields = len(self.expression.split())
        if fields != 5:
            hint = ": use .every(seconds=…) for less than a minute" if fields == 6 else ""
            raise _wrong(expression, f"it must have five fields, not {fields}{hint}")
        if self.after(0) is None:
            raise _wrong(expression, "no day fits it")

    def after(self, moment: int) -> int | None:
        """Return the first tick after a moment; None when there is none in fifty years."""
        for tick in self._from(moment):
            # Two times of day can be one instant when the clocks change, and a time that comes
            # twice lies in the past when it is looked for the second time.
            if tick > moment:
                return tick
        return None

    def _from(self, moment: int) -> Iterator[int]:
        try:
            from cronsim import CronSim, CronSimError
        except ImportError as error:
            problem = "cron expressions need the extra 'schedule': pip install 'onqueue[schedule]'"
            raise ConfigurationError("The schedule", [problem]) from error
        start = datetime.fromtimestamp(moment / 1000, UTC).astimezone(self._zone)
        try:
            found = CronSim(self.expression, start)
        except CronSimError as error:
            raise _wrong(self.expression, str(error).lower()) from error
        for instant in found:
            yield int(instant.timestamp()) * 1000

    def __str__(self) -> str:
        return f"{self.expression} ({self.timezone})"


def of_day(time: str) -> tuple[int, int]:
    """Return hour and minute of a time of day such as '07:30'; raises `ConfigurationError`."""
    found = _TIME.fullmatch(time)
    if not found:
        raise ConfigurationError(f"The time {time!r}", ["it must read like '07:30'"])
    return int(found[1]), int(found[2])


def of_week(day: str) -> int:
    """Return the number of a day of the week, Sunday's 0; raises `ConfigurationError`."""
    try:
        return DAYS.index(day.lower())
    except ValueError:
        problem = f"there is no such day{nearest(day.lower(), DAYS)} (known: {', '.join(DAYS)})"
        raise ConfigurationError(f"The day {day!r}", [problem]) from None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        problem = f"there is no such time zone{nearest(name, available_timezones())}"
        raise ConfigurationError(f"The time zone {name!r}", [problem]) from None


def _wrong(expression: str, problem: str) -> ConfigurationError:
    return ConfigurationError(f"The cron expression {expression!r}", [problem])
