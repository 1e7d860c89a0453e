"""Commands about jobs that failed for good: failed, forget, flush, prune-failed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from onqueue.console.amounts import Amount
from onqueue.console.group import FAILED
from onqueue.console.output import lines, one_line, plural, print_json, print_table
from onqueue.console.selecting import SHOWN_OF_A_GROUP, every, filter_of, known, selection
from onqueue.failed.describing import display_name_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from onqueue.connections import QueueManager
    from onqueue.stores import FailedFilter, FailedGroup, FailedJob, FailedJobs

_ERROR_HEAD = "ERROR"


def commands(get_manager: Callable[[], QueueManager]) -> list[click.Command]:
    """Return the commands of this module."""
    return [
        _failed(get_manager),
        _forget(get_manager),
        _flush(get_manager),
        _prune(get_manager),
    ]


def _failed(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("failed")
    @click.argument("job_id", required=False, metavar="[ID]")
    @selection
    @click.option("--groups", is_flag=True, help="Count them by the cause of their errors.")
    @click.option("--count", is_flag=True, help="Only print how many there are.")
    @click.option(
        "--limit",
        default=50,
        show_default=True,
        type=click.IntRange(min=1),
        help="Show no more than so many.",
    )
    @click.option("--after", metavar="ID", help="Go on after this job of the list.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    def failed(
        job_id: str | None,
        limit: int,
        after: str | None,
        *,
        groups: bool,
        count: bool,
        as_json: bool,
        **given: str,
    ) -> None:
        """List the failed jobs, the newest first, or show all about one.

        With --groups, one line for each cause: errors that differ only in numbers, ids, addresses
        and paths are one group.
        """
        if sum((job_id is not None, groups, count)) > 1:
            raise click.UsageError("An ID, --groups and --count exclude each other.")
        manager = get_manager()
        store = manager.failed
        if job_id is not None:
            _show(store, known(store, job_id), as_json=as_json)
            return
        wanted = filter_of(manager.clock, store, **given)
        if count:
            total = store.count(wanted)
            print_json({"count": total}) if as_json else click.echo(str(total))
        elif groups:
            _tell_groups(store, wanted, limit, as_json=as_json)
        else:
            if after is not None:
                known(store, after)
            _tell_page(store.all(wanted, limit=limit, after=after), limit, as_json=as_json)

    return failed


def _forget(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("forget")
    @click.argument("ids", nargs=-1, metavar="[ID…]")
    @selection
    @click.option("--force", is_flag=True, help="Do not ask before a selection is deleted.")
    def forget(ids: tuple[str, ...], *, force: bool, **given: str) -> None:
        """Delete failed jobs for good, by id or a selection like --group."""
        if bool(ids) == any(given.values()):
            raise click.UsageError(
                "Name the jobs by id, or select them, with --group for instance."
            )
        manager = get_manager()
        if not ids:
            chosen = every(manager.failed, filter_of(manager.clock, manager.failed, **given))
            ids = tuple(job.id for job in chosen)
            if ids and not force:
                click.confirm(f"Delete {plural(len(ids), 'failed job')} for good?", abort=True)
        missing = [job_id for job_id in ids if not manager.failed.forget(job_id)]
        click.echo(f"{plural(len(ids) - len(missing), 'failed job')} deleted.")
        for job_id in missing:
            click.echo(f"There is no failed job {job_id!r}.", err=True)
        if missing:
            click.get_current_context().exit(FAILED)

    return forget


def _flush(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("flush")
    @click.option(
        "--hours",
        type=Amount(min=0),
        help="Only jobs that failed longer ago.",
    )
    def flush(hours: float | None) -> None:
        """Delete all failed jobs for good."""
        gone = get_manager().failed.flush(None if hours is None else hours * 3600)
        click.echo(f"{plural(gone, 'failed job')} deleted.")

    return flush


def _prune(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("prune-failed")
    @click.option(
        "--hours",
        type=Amount(min=0),
        default=24,
        show_default=True,
        help="Only jobs that failed longer ago.",
    )
    def prune_failed(hours: float) -> None:
        """Delete old failed jobs for good, and the logs of those that were retried: for cron."""
        store = get_manager().failed
        if getattr(store, "keeps_nothing", False):
            raise click.ClickException(
                "The failed store keeps nothing, so there is nothing to prune: name a driver for "
                "it in the QueueManager's `failed`, 'database' for instance"
            )
        gone = store.flush(hours * 3600)
        click.echo(f"{plural(gone, 'failed job')} older than {hours:g} h deleted.")

    return prune_failed


def _tell_page(found: list[FailedJob], limit: int, *, as_json: bool) -> None:
    if as_json:
        print_json([_summary(job) for job in found])
    elif not found:
        click.echo("No failed jobs.")
    else:
        _list(found)
        if len(found) == limit:
            click.echo(f"There may be more: --after {found[-1].id}")


def _list(found: list[FailedJob]) -> None:
    heads = ("ID", "JOB", "CONNECTION", "QUEUE", "FAILED AT", "ATTEMPTS", _ERROR_HEAD)
    rows = [
        (
            job.id,
            display_name_of(job),
            job.connection,
            job.queue,
            _short(job.failed_at),
            job.attempts,
            _error(job),
        )
        for job in found
    ]
    print_table(heads, rows, numbers=(5,))


def _tell_groups(store: FailedJobs, wanted: FailedFilter, limit: int, *, as_json: bool) -> None:
    # One more than is shown, to know whether there are others.
    found = store.groups(wanted, limit=limit + 1)
    if as_json:
        print_json([_group(group) for group in found[:limit]])
    elif not found:
        click.echo("No failed jobs.")
    else:
        heads = ("GROUP", "JOBS", "JOB", "FIRST", "LAST", _ERROR_HEAD)
        rows = [
            (
                group.fingerprint[:SHOWN_OF_A_GROUP],
                group.count,
                group.job,
                _short(group.first_at),
                _short(group.last_at),
                _error(group),
            )
            for group in found[:limit]
        ]
        print_table(heads, rows, numbers=(1,))
        if len(found) > limit:
            click.echo(f"There are more groups: --limit {limit * 2}")


def _show(store: FailedJobs, job: FailedJob, *, as_json: bool) -> None:
    failures, edits = store.failures(job.id), store.edits(job.id)
    if as_json:
        print_json(
            {
                **_summary(job),
                "traceback": job.traceback,
                "payload": _readable(job.payload),
                "failures": [
                    {
                        "failure": one.failure,
                        "failed_at": one.failed_at.isoformat(),
                        "attempts": one.attempts,
                        "error_type": one.error_type,
                        "error": one.error,
                        "group": one.fingerprint,
                    }
                    for one in failures
                ],
                "edits": [
                    {
                        "edited_at": edit.edited_at.isoformat() if edit.edited_at else None,
                        "before": _readable(edit.before),
                        "after": _readable(edit.after),
                    }
                    for edit in edits
                ],
            }
        )
        return
    for name, value in _summary(job).items():
        shown = ", ".join(value) if isinstance(value, list) else value
        click.echo(
            f"{name.replace('_', ' '):<12} {'-' if shown in (None, '') else one_line(shown)}"
        )
    click.echo(f"{'payload':<12} {_text(job.payload)}")
    for edit in edits:
        at = _short(edit.edited_at) if edit.edited_at else "-"
        click.echo(f"{'was before':<12} {_text(edit.before)} (changed {at})")
    for one in failures[:-1]:
        told = one_line(f"{one.error_type}: {one.error}")
        click.echo(f"{'failed':<12} {_short(one.failed_at)}, attempt {one.attempts}: {told}")
    if job.is_retrying:
        click.echo(f"\nA retry of it was interrupted: queue retry {job.id}")
    click.echo(f"\n{lines(job.traceback)}")


def _summary(job: FailedJob) -> dict[str, Any]:
    return {
        "id": job.id,
        "job": job.job,
        "display_name": display_name_of(job),
        "connection": job.connection,
        "queue": job.queue,
        "tenant": job.tenant,
        "tags": list(job.tags),
        "failed_at": job.failed_at.isoformat(),
        "attempts": job.attempts,
        "group": job.fingerprint,
        "error_type": job.error_type,
        "error": job.error,
    }


def _group(group: FailedGroup) -> dict[str, Any]:
    return {
        "group": group.fingerprint,
        "count": group.count,
        "job": group.job,
        "error_type": group.error_type,
        "error": group.error,
        "first_at": group.first_at.isoformat(),
        "last_at": group.last_at.isoformat(),
        "newest": group.newest,
    }


def _error(told: FailedJob | FailedGroup) -> str:
    return f"{told.error_type.rpartition('.')[2]}: {told.error}"


def _short(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _text(payload: bytes) -> str:
    return json.dumps(_readable(payload), ensure_ascii=False)


def _readable(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode("utf-8", "backslashreplace")
