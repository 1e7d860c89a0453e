"""`retry`: failed jobs back on their queues, one by one, as a group, at a rate, or changed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from onqueue.bus.editing import edit_of
from onqueue.console.group import FAILED
from onqueue.console.output import plural, print_json, print_table
from onqueue.console.selecting import every, filter_of, in_range, known, selection
from onqueue.errors import BrokerError, OnQueueError, RetryRefused
from onqueue.failed.pace import Pace, Rate
from onqueue.failed.retry import retry_failed
from onqueue.failed.selecting import grouped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onqueue.connections import QueueManager
    from onqueue.contracts import JobId
    from onqueue.stores import FailedJob, PayloadEdit

INTERRUPTED = 130
TELL_EVERY = 10.0
"""Seconds between two lines about how far a slow retry is."""

_USAGE = "Name the jobs by id, or say 'all', or select them, with --queue or --group for instance."


@dataclass(slots=True)
class Outcome:
    """What became of the jobs so far."""

    put_back: int = 0
    missing: list[JobId] = field(default_factory=list)
    refused: dict[JobId, OnQueueError] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether all of them went back."""
        return not (self.missing or self.refused)


def _rate(_context: click.Context, _parameter: click.Parameter, given: str | None) -> Rate | None:
    if given is None:
        return None
    try:
        return Rate.parse(given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _changes(
    _context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]
) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{text!r} is no change: write it like field=JSON")
        if name in changes:
            raise click.BadParameter(f"field {name!r} is given twice: it can have one value only")
        try:
            changes[name] = json.loads(value)
        except ValueError:
            hint = "" if value.startswith(("[", "{", '"')) else f" (text: {name}='\"{value}\"')"
            raise click.BadParameter(f"{value!r} of field {name!r} is no JSON{hint}") from None
    return changes


def commands(get_manager: Callable[[], QueueManager]) -> list[click.Command]:
    """Return the command."""

    @click.command("retry")
    @click.argument("ids", nargs=-1, metavar="[ID…|all]")
    @selection
    @click.option("--range", "span", metavar="ID..ID", help="From one to the other, as listed.")
    @click.option("--limit", type=click.IntRange(min=1), help="No more than so many, oldest first.")
    @click.option("--rate", callback=_rate, metavar="N/s", help="No faster: 10/s, 300/m, 1000/h.")
    @click.option(
        "--set",
        "changes",
        multiple=True,
        callback=_changes,
        metavar="FIELD=JSON",
        help="Change a field of the one job before; may be repeated.",
    )
    @click.option("--dry-run", is_flag=True, help="Only count what would be put back.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    def retry(
        ids: tuple[str, ...],
        span: str | None,
        limit: int | None,
        rate: Rate | None,
        changes: dict[str, Any],
        *,
        dry_run: bool,
        as_json: bool,
        **given: str,
    ) -> None:
        """Put failed jobs back on their queues, all their attempts before them again.

        The oldest go first. What is interrupted half-way may simply be repeated: no job is lost
        or there twice. A job whose lock another one has, or whose connection is no more, stays
        where it is, and is told; the exit code is 1 then.
        """
        if bool(ids) == (span is not None or any(given.values())):
            raise click.UsageError(_USAGE)
        by_id = bool(ids) and ids != ("all",)
        if by_id and limit is not None:
            raise click.UsageError("--limit is for 'all' and for a selection.")
        if changes and (len(ids) != 1 or not by_id):
            raise click.UsageError("--set changes one job: name it by its id.")
        manager = get_manager()
        if changes:
            _retry_changed(manager, ids[0], changes, dry_run=dry_run, as_json=as_json)
            return
        if by_id:
            chosen = _by_id(manager, ids, strictly=dry_run)
        else:
            wanted = filter_of(manager.clock, manager.failed, **given)
            chosen = every(manager.failed, wanted, limit if span is None else None)
            if span is not None:
                chosen = in_range(manager.failed, span, chosen)[:limit]
        if dry_run:
            _tell_groups([job for job in chosen if not isinstance(job, str)], as_json=as_json)
            return
        names = [job if isinstance(job, str) else job.id for job in chosen]
        _tell(_retry_all(manager, names, rate), as_json=as_json)

    return [retry]


def _by_id(
    manager: QueueManager, ids: Sequence[JobId], *, strictly: bool
) -> Sequence[FailedJob | JobId]:
    return [known(manager.failed, job_id) for job_id in ids] if strictly else ids


def _retry_all(manager: QueueManager, ids: Sequence[JobId], rate: Rate | None) -> Outcome:
    outcome, pace = Outcome(), Pace(rate, manager.clock)
    told_at = manager.clock.monotonic()
    try:
        for job_id in ids:
            pace.wait()
            _retry_one(manager, job_id, outcome)
            if rate is not None and manager.clock.monotonic() - told_at >= TELL_EVERY:
                told_at = manager.clock.monotonic()
                click.echo(f"{outcome.put_back} of {len(ids)} put back …", err=True)
    except OnQueueError as error:
        # What was done before the error stays done, and the operator should know.
        click.echo(f"{plural(outcome.put_back, 'failed job')} put back before the error.", err=True)
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        left = len(ids) - outcome.put_back
        click.echo(f"{plural(outcome.put_back, 'failed job')} put back, {left} left.", err=True)
        click.get_current_context().exit(INTERRUPTED)
    return outcome


def _retry_one(manager: QueueManager, job_id: JobId, outcome: Outcome) -> None:
    try:
        if retry_failed(manager, job_id):
            outcome.put_back += 1
        else:
            outcome.missing.append(job_id)
    except BrokerError:
        raise
    except OnQueueError as refusal:
        # What is wrong with this one says nothing about the others.
        outcome.refused[job_id] = refusal


def _retry_changed(
    manager: QueueManager, job_id: JobId, changes: dict[str, Any], *, dry_run: bool, as_json: bool
) -> None:
    failed = known(manager.failed, job_id)
    edit = edit_of(manager, failed, changes)
    if dry_run:
        _tell_edit(failed, edit, changes, as_json=as_json)
        return
    outcome = Outcome()
    try:
        outcome.put_back += retry_failed(manager, job_id, edit)
    except RetryRefused as refusal:
        outcome.refused[job_id] = refusal
    _tell(outcome, as_json=as_json)


def _tell_edit(
    failed: FailedJob, edit: PayloadEdit, changes: dict[str, Any], *, as_json: bool
) -> None:
    # Of encrypted data there is only what the operator gave.
    before, after = (json.loads(payload).get("data", {}) for payload in (edit.before, edit.after))
    changed = {
        name: {"before": before.get(name), "after": after.get(name, given)}
        for name, given in changes.items()
    }
    if as_json:
        print_json({"id": failed.id, "job": failed.job, "changes": changed})
        return
    click.echo(f"Failed job {failed.id} ({failed.job}) would be changed and put back:")
    rows = [
        (name, *(json.dumps(value, ensure_ascii=False) for value in change.values()))
        for name, change in changed.items()
    ]
    print_table(("FIELD", "BEFORE", "AFTER"), rows)


def _tell_groups(chosen: list[FailedJob], *, as_json: bool) -> None:
    groups = grouped(chosen)
    if as_json:
        found = [{"group": one.fingerprint, "job": one.job, "count": one.count} for one in groups]
        print_json({"would_put_back": len(chosen), "groups": found})
        return
    click.echo(f"{plural(len(chosen), 'failed job')} would be put back.")
    if groups:
        rows = [(one.fingerprint, one.count, one.job, one.error_type) for one in groups]
        print_table(("GROUP", "JOBS", "JOB", "ERROR"), rows, numbers=(1,))


def _tell(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        refused = [{"id": one, "why": str(error)} for one, error in outcome.refused.items()]
        counts = {"put_back": outcome.put_back, "missing": outcome.missing}
        print_json({**counts, "refused": refused})
    else:
        click.echo(f"{plural(outcome.put_back, 'failed job')} put back.")
        for job_id in outcome.missing:
            click.echo(f"There is no failed job {job_id!r}.", err=True)
        for job_id, error in outcome.refused.items():
            # A refusal names its job itself.
            name = "" if isinstance(error, RetryRefused) else f"Failed job {job_id!r}: "
            click.echo(f"{name}{error}.", err=True)
    if not outcome.is_whole:
        click.get_current_context().exit(FAILED)
