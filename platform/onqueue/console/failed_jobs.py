"""Commands about jobs that failed for good: failed, retry, forget, flush."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from onqueue.console.group import FAILED
from onqueue.console.output import plural, print_json, print_table
from onqueue.contracts import FailedFilter
from onqueue.errors import OnQueueError
from onqueue.failed.retry import retry_failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from onqueue.connections import QueueManager
    from onqueue.contracts import FailedJob, FailedJobs, JobId

PAGE = 500


def commands(get_manager: Callable[[], QueueManager]) -> list[click.Command]:
    """Return the commands of this module."""
    return [_failed(get_manager), _retry(get_manager), _forget(get_manager), _flush(get_manager)]


def _failed(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("failed")
    @click.argument("job_id", required=False, metavar="[ID]")
    @click.option("--queue", help="Only jobs of this queue.")
    @click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1))
    @click.option("--after", metavar="ID", help="Go on after this job of the list.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    def failed(
        job_id: str | None, queue: str | None, limit: int, after: str | None, *, as_json: bool
    ) -> None:
        """List the failed jobs, the newest first, or show all about one."""
        store = get_manager().failed
        if job_id is not None:
            _show(_known(store, job_id), as_json=as_json)
            return
        found = store.all(FailedFilter(queue=queue or ""), limit=limit, after=after)
        if as_json:
            print_json([_summary(job) for job in found])
        elif not found:
            click.echo("No failed jobs.")
        else:
            _list(found)
            if len(found) == limit:
                click.echo(f"There may be more: --after {found[-1].id}")

    return failed


def _retry(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("retry")
    @click.argument("ids", nargs=-1, metavar="[ID…|all]")
    @click.option("--queue", help="All failed jobs of this queue.")
    def retry(ids: tuple[str, ...], queue: str | None) -> None:
        """Put failed jobs back on their queues, all their attempts before them again.

        What is interrupted half-way may simply be repeated: no job is lost or there twice.
        """
        if bool(ids) == (queue is not None):
            raise click.UsageError("Name the jobs by id, or say 'all', or give --queue.")
        manager = get_manager()
        if ids == ("all",) or queue is not None:
            ids = tuple(_all_ids(manager.failed, queue))
        _each(ids, "put back", lambda job_id: retry_failed(manager, job_id))

    return retry


def _forget(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("forget")
    @click.argument("ids", nargs=-1, required=True, metavar="ID…")
    def forget(ids: tuple[str, ...]) -> None:
        """Delete failed jobs for good."""
        _each(ids, "deleted", get_manager().failed.forget)

    return forget


def _flush(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("flush")
    @click.option(
        "--hours",
        type=click.FloatRange(min=0),
        help="Only jobs that failed longer ago.",
    )
    def flush(hours: float | None) -> None:
        """Delete all failed jobs for good."""
        gone = get_manager().failed.flush(None if hours is None else hours * 3600)
        click.echo(f"{plural(gone, 'failed job')} deleted.")

    return flush


def _each(ids: Iterable[JobId], done: str, act: Callable[[JobId], bool]) -> None:
    """Act on each job and say how it went; ends with exit code 1 when one was not there."""
    count, missing = 0, []
    try:
        for job_id in ids:
            if act(job_id):
                count += 1
            else:
                missing.append(job_id)
    except OnQueueError as error:
        # What was done before the error stays done, and the operator should know.
        click.echo(f"{plural(count, 'failed job')} {done} before the error.", err=True)
        raise click.ClickException(str(error)) from error
    click.echo(f"{plural(count, 'failed job')} {done}.")
    for job_id in missing:
        click.echo(f"There is no failed job {job_id!r}.", err=True)
    if missing:
        click.get_current_context().exit(FAILED)


def _all_ids(store: FailedJobs, queue: str | None) -> list[JobId]:
    """Return all ids there are now, the oldest first: what fails again meanwhile is left."""
    ids: list[JobId] = []
    while page := store.all(
        FailedFilter(queue=queue or ""), limit=PAGE, after=ids[-1] if ids else None
    ):
        ids += [job.id for job in page]
    return ids[::-1]


def _known(store: FailedJobs, job_id: JobId) -> FailedJob:
    found = store.find(job_id)
    if found is None:
        raise click.ClickException(f"There is no failed job {job_id!r}.")
    return found


def _list(found: list[FailedJob]) -> None:
    heads = ("ID", "JOB", "CONNECTION", "QUEUE", "FAILED AT", "ATTEMPTS", "ERROR")
    rows = [
        (
            job.id,
            job.job,
            job.connection,
            job.queue,
            f"{job.failed_at:%Y-%m-%d %H:%M:%S}",
            job.attempts,
            f"{job.error_type.rpartition('.')[2]}: {job.error}",
        )
        for job in found
    ]
    print_table(heads, rows, numbers=(5,))


def _show(job: FailedJob, *, as_json: bool) -> None:
    if as_json:
        print_json({**_summary(job), "traceback": job.traceback, "payload": _readable(job.payload)})
        return
    for name, value in _summary(job).items():
        click.echo(f"{name.replace('_', ' '):<11} {'-' if value is None else value}")
    click.echo(f"{'payload':<11} {json.dumps(_readable(job.payload), ensure_ascii=False)}")
    click.echo(f"\n{job.traceback}")


def _summary(job: FailedJob) -> dict[str, Any]:
    return {
        "id": job.id,
        "job": job.job,
        "connection": job.connection,
        "queue": job.queue,
        "tenant": job.tenant,
        "failed_at": job.failed_at.isoformat(),
        "attempts": job.attempts,
        "error_type": job.error_type,
        "error": job.error,
    }


def _readable(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode("utf-8", "backslashreplace")
