"""The schedule's commands: work, list, history, run, pause, resume."""

from __future__ import annotations

import logging
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import click

from onqueue.console.amounts import Amount
from onqueue.console.group import QueueGroup
from onqueue.console.output import print_json, print_table
from onqueue.schedule.scheduler import LEASE, Scheduler
from onqueue.schedule.store import schedule_of, store_of
from onqueue.ticks import KEPT_RECORDS, instant

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from onqueue.connections import QueueManager
    from onqueue.schedule.definition import Entry
    from onqueue.ticks import EntryState, Pause, ScheduleState, TickRecord

log = logging.getLogger("onqueue.schedule")

_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s [%(process)d] %(message)s"
_NOBODY = "No scheduler is running: start one with `schedule work`."


def build_schedule_group(
    get_manager: Callable[[], QueueManager], name: str = "schedule"
) -> click.Group:
    """Return the group of the schedule's commands; `get_manager` as in `build_group`."""
    group = QueueGroup(name, get_manager, "Run jobs at their time, and look after the schedule.")
    for command in (
        work,
        _list(get_manager),
        _history(get_manager),
        _run(get_manager),
        _pause(get_manager),
        _resume(get_manager),
    ):
        group.add_command(command)
    return group


@click.command("work")
@click.option(
    "--lease",
    type=Amount(min=1),
    default=LEASE,
    show_default=True,
    help="Seconds after which another scheduler takes over from one that says nothing.",
)
@click.option("-v", "--verbose", count=True, help="Tell more; twice: everything.")
@click.pass_obj
def work(get_manager: Callable[[], QueueManager], /, lease: float, verbose: int) -> None:
    """Run the schedule; of several schedulers one leads and the others wait.

    TERM, INT and QUIT end it at once, and another one takes over.
    """
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=level, format=_LOG_FORMAT, stream=sys.stderr)
    Scheduler(get_manager(), lease).run()
    log.info("scheduler stopped")


def _list(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("list")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    def list_(*, as_json: bool) -> None:
        """Show the entries: when they are due next, how the last tick ended, what is paused."""
        manager = get_manager()
        schedule = schedule_of(manager)
        with closing(store_of(manager)) as store:
            term = store.term()
            state = store.look([entry.name for entry in schedule])
            rows = [
                _row(entry, state, next(iter(store.history(entry.name, 1)), None), term.now)
                for entry in schedule
            ]
        if as_json:
            print_json({"leader": term.name or None, "entries": rows})
            return
        heads = ("name", "when", "next", "last", "outcome", "state")
        print_table(
            [head.upper() for head in heads], [[row[head] for head in heads] for row in rows]
        )
        click.echo(f"{term.name} leads." if term.name else _NOBODY)

    return list_


def _history(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("history")
    @click.argument("name", required=False)
    @click.option(
        "--limit",
        type=click.IntRange(1, KEPT_RECORDS),
        default=20,
        show_default=True,
        help="How many ticks to show.",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    def history(name: str | None, limit: int, *, as_json: bool) -> None:
        """Show the newest ticks (of all entries, or of one): what ran, what was skipped and why."""
        manager = get_manager()
        with closing(store_of(manager)) as store:
            known = store.known()
            if name is not None and name not in known:
                schedule_of(manager).entry(name)
            names = known if name is None else [name]
            records = [record for one in names for record in store.history(one, limit)]
        newest = sorted(records, key=lambda record: (record.at, record.tick), reverse=True)[:limit]
        heads = ("entry", "tick", "outcome", "late", "job", "why")
        rows = [_line(record) for record in newest]
        if as_json:
            print_json(rows)
        else:
            shown = [[row[head] for head in heads] for row in rows]
            print_table([head.upper() for head in heads], shown, numbers=(3,))

    return history


def _run(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("run")
    @click.argument("name")
    def run(name: str) -> None:
        """Let the scheduler that leads run an entry now, paused or not."""
        manager = get_manager()
        entry = schedule_of(manager).entry(name)
        with closing(store_of(manager)) as store:
            store.order(entry.name)
            leader = store.term().name
        click.echo(f"{entry.name!r} is to run now.")
        if not leader:
            click.echo(_NOBODY)

    return run


def _pause(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("pause")
    @click.argument("name", required=False)
    @click.option("--reason", default="", help="Shown wherever the pause is.")
    @click.option(
        "--for",
        "seconds",
        type=Amount(min=0, min_open=True),
        metavar="S",
        help="Only for so many seconds.",
    )
    def pause(name: str | None, reason: str, seconds: float | None) -> None:
        """Skip the ticks of an entry (or of all) until `resume`, or for some seconds."""
        manager = get_manager()
        what = _what(manager, name)
        with closing(store_of(manager)) as store:
            until = None if seconds is None else store.term().now / 1000 + seconds
            store.pause(name, reason, until)
        span = "" if seconds is None else f" for {seconds:g} s"
        click.echo(f"{what} is paused{span}.")

    return pause


def _resume(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("resume")
    @click.argument("name", required=False)
    def resume(name: str | None) -> None:
        """Run the ticks of an entry (or of all) again."""
        manager = get_manager()
        what = _what(manager, name)
        with closing(store_of(manager)) as store:
            was_paused = store.resume(name)
            left = sorted(store.look([]).pauses)
        click.echo(f"{what} {'is resumed' if was_paused else 'was not paused'}.")
        if left:
            names = ", ".join(repr(name) if name else "the whole schedule" for name in left)
            click.echo(f"Still paused: {names}.")

    return resume


def _what(manager: QueueManager, name: str | None) -> str:
    return "The schedule" if name is None else f"Entry {schedule_of(manager).entry(name).name!r}"


def _row(entry: Entry, state: ScheduleState, newest: TickRecord | None, now: int) -> dict[str, str]:
    known = state.entries[entry.name]
    pause = state.pauses.get(entry.name) or state.pauses.get("")
    following = entry.after(now)
    return {
        "name": entry.name,
        "when": str(entry.cadence),
        "next": "" if following is None else _told(entry.local(following)),
        "last": "" if newest is None else _told(entry.local(newest.until or newest.tick)),
        "outcome": "" if newest is None else newest.outcome,
        "state": _state(known, pause),
    }


def _state(known: EntryState, pause: Pause | None) -> str:
    if pause is not None:
        until = f" until {_told(instant(pause.until))}" if pause.until else ""
        return f"paused{until}{pause.reason and f': {pause.reason}'}"
    if known.held is not None:
        return "waits for the job before"
    return "is being sent" if known.opened is not None else ""


def _line(record: TickRecord) -> dict[str, str]:
    tick = _told(instant(record.tick))
    if record.count > 1:
        tick = f"{tick} to {_told(instant(record.until))} ({record.count})"
    return {
        "entry": record.entry,
        "tick": tick,
        "outcome": record.outcome,
        "late": f"{(record.at - record.tick) / 1000:.1f} s",
        "job": record.job,
        "why": record.why,
        "by": record.by,
    }


def _told(when: datetime) -> str:
    return when.isoformat(" ", "seconds")
