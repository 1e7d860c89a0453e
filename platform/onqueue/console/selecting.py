"""Which failed jobs a command is about: the options that say it, and what they come to."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from onqueue.failed.terms import wanted_words
from onqueue.stores import FailedFilter

if TYPE_CHECKING:
    from collections.abc import Callable

    from onqueue.contracts import Clock, JobId
    from onqueue.stores import FailedJob, FailedJobs

Function = TypeVar("Function", bound="Callable[..., Any]")

PAGE = 500
SHOWN_OF_A_GROUP = 12
"""Digits of a fingerprint that tables show, and that name it as well as all of them."""

_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])", re.IGNORECASE)
_SPANS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_FEWEST_OF_A_GROUP = 4

_OPTIONS = (
    click.option("--connection", default="", help="Only jobs of this connection."),
    click.option("--queue", default="", help="Only jobs of this queue."),
    click.option("--job", default="", help="Only jobs of this name."),
    click.option("--tenant", default="", help="Only jobs of this tenant."),
    click.option("--tag", default="", help="Only jobs with this tag."),
    click.option("--group", default="", metavar="FINGERPRINT", help="Only this group of errors."),
    click.option(
        "--error", default="", metavar="WORDS", help="Only errors with these words or beginnings."
    ),
    click.option(
        "--since", default="", metavar="WHEN", help="Failed then or later: 2h, 7d, a date."
    ),
    click.option("--until", default="", metavar="WHEN", help="Failed then or earlier."),
)


def selection(function: Function) -> Function:
    """Give a command the options that select failed jobs; it gets them as keywords."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def filter_of(clock: Clock, store: FailedJobs, **given: str) -> FailedFilter:
    """Return what the options of `selection` say.

    Raises `click.BadParameter` for a time that is none and for an error without a word or with too
    many of them, `click.ClickException` for a group that is not there or that could be several.
    """
    since, until = given.pop("since"), given.pop("until")
    if given["error"]:
        _check_words(given["error"])
    wanted = FailedFilter(
        **given,
        since=_moment(clock, "--since", since),
        until=_moment(clock, "--until", until),
    )
    if not wanted.group:
        return wanted
    return replace(wanted, group=group_named(store, wanted.group))


def group_named(store: FailedJobs, given: str) -> str:
    """Return the fingerprint that begins so; raises `click.ClickException` unless it is one."""
    if len(given) < _FEWEST_OF_A_GROUP or not re.fullmatch("[0-9a-f]+", given.lower()):
        raise click.ClickException(
            f"{given!r} is no fingerprint: give at least {_FEWEST_OF_A_GROUP} of its hexadecimal "
            "digits, as `queue failed --groups` shows them"
        )
    found = store.groups(FailedFilter(group=given.lower()), limit=2)
    if not found:
        raise click.ClickException(f"There is no group of failed jobs {given!r}")
    if len(found) > 1:
        names = " and ".join(repr(group.fingerprint) for group in found)
        raise click.ClickException(f"{given!r} could be {names}: give more digits")
    return found[0].fingerprint


def every(store: FailedJobs, wanted: FailedFilter, limit: int | None = None) -> list[FailedJob]:
    """Return all that are there now, the oldest first: what fails again meanwhile is left.

    They come without payload and traceback; with `limit` it is so many of the oldest.
    """
    found: list[FailedJob] = []
    while page := store.all(wanted, limit=PAGE, after=found[-1].id if found else None):
        found += [replace(failed, payload=b"", traceback="") for failed in page]
    return found[::-1][:limit]


def in_range(store: FailedJobs, given: str, jobs: list[FailedJob]) -> list[FailedJob]:
    """Return those of the jobs that a range 'ID..ID' holds, both ends with it."""
    first, dots, last = given.partition("..")
    if not (first and dots and last):
        hint = "--range"
        raise click.BadParameter(f"{given!r} is no range: write it like ID..ID", param_hint=hint)
    ends = sorted((end.failed_at, end.id) for end in (known(store, first), known(store, last)))
    return [failed for failed in jobs if ends[0] <= (failed.failed_at, failed.id) <= ends[1]]


def known(store: FailedJobs, job_id: JobId) -> FailedJob:
    """Return the failed job of an id; raises `click.ClickException` when there is none."""
    found = store.find(job_id)
    if found is None:
        raise click.ClickException(f"There is no failed job {job_id!r}.")
    return found


def _check_words(given: str) -> None:
    hint = "--error"
    try:
        words = wanted_words(given)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=hint) from None
    if not words:
        text = f"{given!r} has no word: errors are found by letters and digits"
        raise click.BadParameter(text, param_hint=hint)


def _moment(clock: Clock, option: str, given: str) -> datetime | None:
    if not given:
        return None
    age = _AGE.fullmatch(given.strip())
    if age:
        return clock.now() - timedelta(seconds=float(age[1]) * _SPANS[age[2].lower()])
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        raise click.BadParameter(
            f"{given!r} is neither an age (30m, 2h, 7d) nor a date and time "
            "(2026-11-22T08:00, UTC unless it says otherwise)",
            param_hint=option,
        ) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
