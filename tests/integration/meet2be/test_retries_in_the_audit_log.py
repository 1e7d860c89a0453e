"""Whoever puts failed jobs back from a terminal leaves entries in the audit log."""

from click.testing import CliRunner
from sqlalchemy import select

from meet2be.audit.models import AuditEntry
from meet2be.audit.retries import note_retries
from meet2be.audit.services import Actor
from meet2be.db import Database
from onqueue.connections import QueueManager
from onqueue.console import build_group
from onqueue.failed import MemoryFailedJobs
from support.failures import fail
from support.outbox_records import job_id


def test_each_job_of_a_group_that_is_put_back_leaves_an_entry(database: Database) -> None:
    """B14."""
    manager = QueueManager(
        "redis", {"redis": {"driver": "support.broker_double:broker_double"}}, MemoryFailedJobs()
    )
    for number in range(1, 4):
        fail(manager, number)
    fail(manager, 4, error="no such person")
    group = manager.failed.groups()[0].fingerprint
    stop = note_retries(database, Actor("operator", "uid 7"))
    try:
        arguments = ["retry", "--group", group, "--rate", "1000/s"]
        result = CliRunner().invoke(build_group(lambda: manager), arguments)
    finally:
        stop()
    assert result.exit_code == 0, result.output
    with database.system_session("a test") as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
        assert [entry.object_id for entry in entries] == [job_id(number) for number in (3, 2, 1)]
        assert {entry.action for entry in entries} == {"queue.job_retried"}
        assert entries[0].actor_id == "uid 7"
        assert entries[0].before is not None
        assert entries[0].before["error"].startswith("smtplib.SMTPException: mailbox 3")
        assert entries[0].before["group"] == group
