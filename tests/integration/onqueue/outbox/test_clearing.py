"""What an operator clears does not come back as if it had been lost."""

from click.testing import CliRunner

from onqueue.connections import QueueManager
from onqueue.console import build_group
from onqueue.outbox import Reconciler, SqlOutbox
from onqueue.testing.clock import FakeClock
from support.outbox_records import job_id, job_ids, record


def test_cleared_durable_jobs_stay_away_and_running_ones_stay_guarded(
    outbox: SqlOutbox, clock: FakeClock
) -> None:
    driver = "support.broker_double:broker_double"
    manager = QueueManager("redis", {"redis": {"driver": driver}}, outbox=outbox, clock=clock)
    running = record(3, durable=True)
    rows = [record(1, durable=True), record(2, durable=True, queue="mails"), running]
    outbox.add_many(None, rows)
    outbox.mark_dispatched(job_ids(3))
    queue = manager.connection()
    for row in rows[:2]:
        queue.push(row.message)

    def known_while_running(ids: object) -> set[str]:
        return {running.message.id}

    queue.knows = known_while_running  # type: ignore[method-assign]
    result = CliRunner().invoke(build_group(lambda: manager), ["clear", "--force"])
    assert result.output == "1 job deleted from queue 'default' of 'redis'.\n"
    assert [outbox.state(job_id(n)) for n in (1, 2, 3)] == [None, "dispatched", "dispatched"]
    clock.advance(31)
    queue.knows = set  # type: ignore[method-assign,assignment]
    assert Reconciler(outbox, manager, clock).run_once().lost == 0
