"""Commands that look at what is in the broker: jobs, locks, and the end of a waiting job."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol, get_args, runtime_checkable

import click

from onqueue.console.group import FAILED
from onqueue.console.output import plural, print_json, print_table
from onqueue.console.queues import check_queue, discard_lost
from onqueue.contracts import JobState
from onqueue.errors import UnsupportedByDriver
from onqueue.monitor import inspection_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onqueue.connections import QueueManager
    from onqueue.contracts import ClaimState, LockState, Queue, QueuedJob

STATES: tuple[JobState, ...] = get_args(JobState)


@runtime_checkable
class KeepsClaims(Protocol):
    """A connection that knows the locks of unique jobs."""

    def claims(self, *, orphans_only: bool = False) -> Sequence[ClaimState]:
        """Return the locks of unique jobs that stand."""
        ...


def commands(get_manager: Callable[[], QueueManager]) -> list[click.Command]:
    """Return the commands of this module."""
    return [_jobs(get_manager), _locks(get_manager), _forget_waiting(get_manager)]


def _jobs(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("jobs")
    @click.argument("queue", required=False)
    @click.option("--connection", help="The connection (default: the manager's own).")
    @click.option("--state", type=click.Choice(STATES), help="Only jobs in this state.")
    @click.option(
        "--limit",
        default=50,
        show_default=True,
        type=click.IntRange(1, 10_000),
        help="Show no more than so many of a state.",
    )
    @click.option("--skip", default=0, type=click.IntRange(min=0), help="Leave out the first ones.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON, with the payloads.")
    def jobs(
        queue: str | None,
        connection: str | None,
        state: JobState | None,
        limit: int,
        skip: int,
        *,
        as_json: bool,
    ) -> None:
        """List the jobs of a queue that have no outcome yet: ready, delayed, reserved, parked.

        Without --state up to --limit of each. What is ready or due first comes first.
        """
        target = get_manager().connection(connection)
        inspection = inspection_of(target, "queue jobs")
        name = queue or target.config.queue
        check_queue(target, name)
        found = [
            job
            for one in ([state] if state else STATES)
            for job in inspection.jobs(name, one, limit, skip)
        ]
        if as_json:
            print_json([_told(job) for job in found])
        elif not found:
            click.echo(f"No jobs on queue {name!r} of {target.name!r}.")
        else:
            rows = [_row(job) for job in found]
            print_table(("ID", "JOB", "STATE", "ATTEMPTS", "WHERE"), rows, numbers=(3,))

    return jobs


def _locks(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("locks")
    @click.argument("connection", required=False)
    @click.option("--orphans", is_flag=True, help="Only those that are nobody's any more.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    def locks(connection: str | None, *, orphans: bool, as_json: bool) -> None:
        """List the locks that stand: of unique jobs and of middleware.

        An orphan's owner is gone; workers sweep those away by themselves. With --orphans the exit
        code is 1 when there are any.
        """
        manager = get_manager()
        names = [manager.config(connection).name] if connection else list(manager.configs)
        rows = [
            row
            for name in names
            for row in _locks_of(manager.connection(name), named=connection is not None)
            if row["orphaned"] or not orphans
        ]
        if as_json:
            print_json(rows)
        elif not rows:
            click.echo("No orphaned locks." if orphans else "No locks.")
        else:
            heads = ("CONNECTION", "KIND", "NAME", "OWNER", "EXPIRES", "")
            print_table(heads, [_lock_row(row) for row in rows])
        if orphans and rows:
            click.get_current_context().exit(FAILED)

    return locks


def _forget_waiting(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("forget-waiting")
    @click.argument("ids", nargs=-1, required=True, metavar="ID…")
    @click.option("--connection", help="The connection (default: the manager's own).")
    def forget_waiting(ids: tuple[str, ...], connection: str | None) -> None:
        """Remove jobs that wait (ready, delayed or parked) for good; running ones go on."""
        manager = get_manager()
        target = manager.connection(connection)
        if "forget" not in target.supports:
            driver = target.config.driver
            raise UnsupportedByDriver("queue forget-waiting", target.name, driver, "forgetting")
        gone = [job_id for job_id in ids if target.forget(job_id)]
        discard_lost(manager, target, gone)
        click.echo(f"{plural(len(gone), 'job')} removed from {target.name!r}.")
        for job_id in ids:
            if job_id not in gone:
                click.echo(f"No job {job_id!r} waits on {target.name!r}.", err=True)
        if len(gone) < len(ids):
            click.get_current_context().exit(FAILED)

    return forget_waiting


def _locks_of(target: Queue, *, named: bool) -> list[dict[str, Any]]:
    """Return the locks of a connection; one without any is left out unless it was named."""
    if named:
        inspection_of(target, "queue locks")
    rows = []
    if isinstance(target, KeepsClaims):
        rows += [_claim(target, claim) for claim in target.claims()]
    if hasattr(target, "inspection"):
        found = inspection_of(target, "queue locks").locks()
        rows += [_overlap(target, lock) for lock in found]
    return rows


def _claim(target: Queue, claim: ClaimState) -> dict[str, Any]:
    return {
        "connection": target.name,
        "kind": "unique job",
        "name": claim.key,
        "owner": claim.owner,
        "successor": claim.successor,
        "expires": claim.expires_at.isoformat(),
        "orphaned": claim.orphaned,
    }


def _overlap(target: Queue, lock: LockState) -> dict[str, Any]:
    return {
        "connection": target.name,
        "kind": "middleware",
        "name": lock.name,
        "owner": lock.owner,
        "holder": lock.holder,
        "expires": None if lock.expires_in is None else round(lock.expires_in, 3),
        "orphaned": lock.orphaned,
    }


def _lock_row(row: dict[str, Any]) -> tuple[object, ...]:
    expires = row["expires"]
    if expires is None:
        words = "with its worker"
    else:
        words = f"in {expires:g} s" if isinstance(expires, float) else str(expires)[:19]
    note = "orphaned" if row["orphaned"] else ""
    return row["connection"], row["kind"], row["name"], row["owner"], words, note


def _row(job: QueuedJob) -> tuple[object, ...]:
    return job.id, _name_in(job.payload), job.state, job.attempts, _where(job)


def _where(job: QueuedJob) -> str:
    if job.due_in is not None:
        return f"due in {job.due_in:.1f} s" if job.due_in > 0 else "due"
    if job.state == "reserved":
        return f"worker {job.place}"
    return f"lane {job.place}" if job.place else ""


def _told(job: QueuedJob) -> dict[str, Any]:
    return {
        "id": job.id,
        "queue": job.queue,
        "state": job.state,
        "job": _name_in(job.payload),
        "attempts": job.attempts,
        "exceptions": job.exceptions,
        "due_in": job.due_in,
        "place": job.place,
        "payload": _readable(job.payload),
    }


def _name_in(payload: bytes) -> str:
    found = _readable(payload)
    return str(found.get("job", "?")) if isinstance(found, dict) else "?"


def _readable(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode("utf-8", "backslashreplace")
