"""Commands about batches: batches, retry-batch, cancel-batch, prune-batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from onqueue.bus.batch import Batch
from onqueue.bus.pruning import Age, forget_old_batches
from onqueue.bus.stores import find_state, keeping_batches, store_of
from onqueue.console.amounts import Amount
from onqueue.console.group import FAILED
from onqueue.console.output import plural, print_json, print_table
from onqueue.errors import OnQueueError
from onqueue.failed.retry import retry_failed

if TYPE_CHECKING:
    from collections.abc import Callable

    from onqueue.connections import QueueManager

_HEADS = (
    *("ID", "NAME", "CONNECTION", "STATE", "CREATED AT"),
    *("JOBS", "PENDING", "FAILED", "PERCENT"),
)


def commands(get_manager: Callable[[], QueueManager]) -> list[click.Command]:
    """Return the commands of this module."""
    return [
        _batches(get_manager),
        _retry(get_manager),
        _cancel(get_manager),
        _prune(get_manager),
    ]


def _batches(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("batches")
    @click.argument("batch_id", required=False, metavar="[ID]")
    @click.option("--connection", help="Only batches of this connection.")
    @click.option(
        "--limit",
        default=50,
        show_default=True,
        type=click.IntRange(min=1),
        help="Show no more than so many of a connection.",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    def batches(batch_id: str | None, connection: str | None, limit: int, *, as_json: bool) -> None:
        """List the batches, the newest of each connection first, or show all about one."""
        manager = get_manager()
        if batch_id is not None:
            _show(_known(manager, batch_id, connection), as_json=as_json)
            return
        names = [manager.config(connection).name] if connection else keeping_batches(manager)
        found = [
            Batch(name, state)
            for name in names
            for state in store_of(manager, name).batches(limit=limit)
        ]
        if as_json:
            print_json([one.to_dict() for one in found])
        elif not found:
            click.echo("No batches.")
        else:
            print_table(_HEADS, [_row(one) for one in found], numbers=(5, 6, 7, 8))

    return batches


def _retry(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("retry-batch")
    @click.argument("ids", nargs=-1, required=True, metavar="ID…")
    def retry_batch(ids: tuple[str, ...]) -> None:
        """Put the failed jobs of batches back on their queues; the batch counts them anew."""
        manager = get_manager()
        incomplete = [one for one in ids if not _retry_members(manager, _known(manager, one, None))]
        if incomplete:
            click.get_current_context().exit(FAILED)

    return retry_batch


def _cancel(get_manager: Callable[[], QueueManager]) -> click.Command:
    @click.command("cancel-batch")
    @click.argument("batch_id", metavar="ID")
    def cancel_batch(batch_id: str) -> None:
        """Let the jobs of a batch that wait end unrun; those that run go on."""
        manager = get_manager()
        batch = _known(manager, batch_id, None)
        if not store_of(manager, batch.connection, batch.id).cancel_batch(batch_id):
            raise click.ClickException(f"Batch {batch_id!r} has ended or was cancelled before.")
        click.echo(f"Batch {batch_id} cancelled.")

    return cancel_batch


def _prune(get_manager: Callable[[], QueueManager]) -> click.Command:
    hours = Amount(min=0)

    @click.command("prune-batches")
    @click.option(
        "--hours",
        default=24,
        show_default=True,
        type=hours,
        help="Forget batches that ended longer ago.",
    )
    @click.option("--unfinished", type=hours, help="And unfinished ones made longer ago.")
    @click.option("--cancelled", type=hours, help="And cancelled ones made longer ago.")
    @click.option("--connection", help="Only batches of this connection.")
    def prune_batches(
        hours: float, unfinished: float | None, cancelled: float | None, connection: str | None
    ) -> None:
        """Forget old batches, not their jobs: for cron."""
        manager = get_manager()
        age = Age(hours, unfinished, cancelled)
        gone = forget_old_batches(manager, age, connection)
        click.echo("1 batch forgotten." if gone == 1 else f"{gone} batches forgotten.")

    return prune_batches


def _known(manager: QueueManager, batch_id: str, connection: str | None) -> Batch:
    found = find_state(manager, batch_id, connection)
    if found is None:
        raise click.ClickException(f"There is no batch {batch_id!r}.")
    return Batch(*found)


def _retry_members(manager: QueueManager, batch: Batch) -> bool:
    """Put the failed members of a batch back; False when one stayed where it was."""
    back, left = 0, []
    for job_id in store_of(manager, batch.connection, batch.id).failed_members(batch.id):
        try:
            if retry_failed(manager, job_id):
                back += 1
            else:
                left.append(f"There is no failed job {job_id!r} any more.")
        except OnQueueError as error:
            left.append(str(error))
    click.echo(f"{plural(back, 'failed job')} of batch {batch.id} put back.")
    for why in left:
        click.echo(why, err=True)
    return not left


def _show(batch: Batch, *, as_json: bool) -> None:
    if as_json:
        print_json(batch.to_dict())
        return
    for name, value in batch.to_dict().items():
        click.echo(f"{name.replace('_', ' '):<14} {'-' if value in (None, '') else value}")


def _row(batch: Batch) -> tuple[object, ...]:
    return (
        batch.id,
        batch.name or "-",
        batch.connection,
        _state_of(batch),
        f"{batch.created_at:%Y-%m-%d %H:%M:%S}",
        batch.total,
        batch.pending,
        batch.failed,
        batch.progress(),
    )


def _state_of(batch: Batch) -> str:
    if batch.cancelled:
        return "cancelled" if batch.finished else "cancelling"
    return "finished" if batch.finished else "running"
