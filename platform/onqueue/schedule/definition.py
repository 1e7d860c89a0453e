"""What an application writes: a schedule and its entries."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias
from zoneinfo import ZoneInfo

from onqueue.config import QUEUE_NAME, is_queue_name
from onqueue.errors import ConfigurationError, UnknownEntry
from onqueue.job import Job
from onqueue.options import checked_seconds
from onqueue.schedule.cadence import Cron, Interval, of_day, of_week
from onqueue.schedule.planning import CatchUp
from onqueue.ticks import instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from typing import Self

    from onqueue.options import Seconds
    from onqueue.schedule.cadence import Cadence
    from onqueue.schedule.planning import CatchUpMode, Overlap

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MODES = ("skip", "last", "all")
_OVERLAPS = ("allow", "skip", "queue")
_DAY = 86_400.0

Source: TypeAlias = "Job | type[Job] | Callable[[], Job]"
"""What makes an entry's job: one that is always the same, its class, or a function."""


class Entry:
    """One job of a schedule: when it is due and how; made by `Schedule.job`.

    Its name stands for it in the history and in the identity of each tick, so it must stay when
    the code around it changes.
    """

    def __init__(self, name: str, source: Source, timezone: str) -> None:
        """Be due never, until told when."""
        self.name = name
        self.cadence: Cadence | None = None
        self.overlap: Overlap = "allow"
        self.catching_up = CatchUp()
        self.queue: str | None = None
        self.connection: str | None = None
        self.conditions: list[Callable[[], object]] = []
        self._source = source
        self._timezone = timezone

    # ---- when ----

    def cron(self, expression: str, timezone: str | None = None) -> Self:
        """Let it be due by a cron expression of five fields, read in a time zone."""
        return self._due(Cron(expression, timezone or self._timezone))

    def every(
        self, *, seconds: float = 0, minutes: float = 0, hours: float = 0, days: float = 0
    ) -> Self:
        """Let it be due at whole multiples of a span since the epoch, whatever clocks do.

        The span is counted in whole seconds, from 1 on.
        """
        span = seconds + 60 * minutes + 3600 * hours + _DAY * days
        if span < 1 or span != int(span):
            raise self._wrong(f"every() needs a whole number of seconds from 1 on, not {span:g}")
        return self._due(Interval(int(span) * 1000))

    def hourly(self, minute: int = 0) -> Self:
        """Let it be due at a minute of every hour."""
        return self.cron(f"{minute} * * * *")

    def daily_at(self, time: str, timezone: str | None = None) -> Self:
        """Let it be due each day at a time such as '07:30'."""
        hour, minute = of_day(time)
        return self.cron(f"{minute} {hour} * * *", timezone)

    def weekly_on(self, day: str, time: str = "00:00", timezone: str | None = None) -> Self:
        """Let it be due once a week, on a day such as 'monday'."""
        hour, minute = of_day(time)
        return self.cron(f"{minute} {hour} * * {of_week(day)}", timezone)

    def monthly_on(self, day: int, time: str = "00:00", timezone: str | None = None) -> Self:
        """Let it be due on a day of each month; months without that day are left out."""
        hour, minute = of_day(time)
        return self.cron(f"{minute} {hour} {day} * *", timezone)

    def _due(self, cadence: Cadence) -> Self:
        if self.cadence is not None:
            raise self._wrong(f"it is due {self.cadence} already: make another entry")
        self.cadence = cadence
        return self

    # ---- how ----

    def without_overlapping(self, policy: Overlap = "skip") -> Self:
        """Say what happens while its job before has not ended.

        "skip": the tick is left out; "queue": it waits, and others meanwhile are left out;
        "allow": jobs may run side by side, as without this call.
        """
        if policy not in _OVERLAPS:
            raise self._wrong(f"overlap must be one of {', '.join(_OVERLAPS)}, not {policy!r}")
        self.overlap = policy
        return self

    def catch_up(self, mode: CatchUpMode, within: Seconds | None = None) -> Self:
        """Say what happens to ticks for which no scheduler was there.

        "skip": nothing, "last": the last one is made up for, "all": each is. What is older than
        `within` is not made up for; the default is a day for "all" and no bound for "last".
        """
        if mode not in _MODES:
            raise self._wrong(f"catch-up must be one of {', '.join(_MODES)}, not {mode!r}")
        bound = _DAY if mode == "all" else 0.0
        if within is not None:
            bound = checked_seconds("catch_up(within=)", within)
        self.catching_up = CatchUp(mode, int(bound * 1000))
        return self

    def on_queue(self, queue: str) -> Self:
        """Choose the queue of its jobs."""
        if not is_queue_name(queue):
            raise self._wrong(f"a queue's name must have {QUEUE_NAME}, not {queue!r}")
        self.queue = queue
        return self

    def on_connection(self, connection: str) -> Self:
        """Choose the connection of its jobs."""
        self.connection = connection
        return self

    def when(self, condition: Callable[[], object]) -> Self:
        """Skip ticks at which the condition does not hold; asked in the scheduler's process."""
        self.conditions.append(condition)
        return self

    # ---- what the scheduler asks ----

    def make(self) -> Job:
        """Return the job of a tick, with the entry's queue and connection; may raise anything."""
        job = self._source if isinstance(self._source, Job) else self._source()
        if not isinstance(job, Job):
            raise self._wrong(f"it must make a job, not {type(job).__name__!r}")
        if self.queue is not None:
            job.on_queue(self.queue)
        if self.connection is not None:
            job.on_connection(self.connection)
        return job

    def is_wanted(self) -> bool:
        """Tell whether all conditions hold; may raise what they raise."""
        return all(condition() for condition in self.conditions)

    def after(self, moment: int) -> int | None:
        """Return the first tick after a moment (both in milliseconds since the epoch)."""
        return None if self.cadence is None else self.cadence.after(moment)

    def local(self, moment: int) -> datetime:
        """Return a moment in the entry's time zone."""
        timezone = self.cadence.timezone if isinstance(self.cadence, Cron) else self._timezone
        return instant(moment).astimezone(ZoneInfo(timezone))

    def _wrong(self, problem: str) -> ConfigurationError:
        return ConfigurationError(f"The schedule's entry {self.name!r}", [problem])


class Schedule:
    """The entries of an application; its ticks are kept on a connection (None: the default one)."""

    def __init__(self, *, timezone: str = "UTC", connection: str | None = None) -> None:
        """Begin empty; `timezone` is that of entries which name none."""
        self.timezone = timezone
        self.connection = connection
        self._entries: dict[str, Entry] = {}

    def job(self, source: Source, name: str | None = None) -> Entry:
        """Add an entry and return it, to be told when: `schedule.job(Report).daily_at("07:00")`.

        `source` is a job, a job class or a function that makes a job; a function is called at each
        tick, in the scheduler's process, and must be quick. The name is the job's or the
        function's own unless given. Raises `ConfigurationError` for a name that is taken.
        """
        name = name or _name_of(source)
        subject = f"The schedule's entry {name!r}"
        if not _NAME.fullmatch(name):
            problem = "its name must have 1 to 100 letters, digits, '.', '_' or '-': give it name="
            raise ConfigurationError(subject, [problem])
        if name in self._entries:
            raise ConfigurationError(subject, ["there is one of that name: give it another name="])
        entry = self._entries[name] = Entry(name, source, self.timezone)
        return entry

    def entry(self, name: str) -> Entry:
        """Return an entry by its name; raises `UnknownEntry`."""
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownEntry(name, self._entries) from None

    def check(self) -> None:
        """Raise `ConfigurationError` about entries that are never due."""
        problems = [
            f"entry {entry.name!r} is never due: say when, as in .daily_at('07:00')"
            for entry in self
            if entry.cadence is None
        ]
        if problems:
            raise ConfigurationError("The schedule", problems)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries


def _name_of(source: Source) -> str:
    if isinstance(source, Job) or (isinstance(source, type) and issubclass(source, Job)):
        return source.name
    name = getattr(source, "__name__", "")
    return "" if name == "<lambda>" else name
