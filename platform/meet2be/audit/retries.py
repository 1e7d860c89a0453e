"""Failed jobs that are put back leave an entry each: which one, why it had failed, by whom."""

from __future__ import annotations

from collections.abc import Callable

from meet2be.audit.services import Actor, record
from meet2be.db import Database
from onqueue import events


def note_retries(database: Database, actor: Actor) -> Callable[[], None]:
    """Write an entry for each failed job that this process puts back; return what ends that.

    The entry is of the tenant whose job it is and is written before the job goes back: a retry that
    is repeated after a crash leaves two.
    """

    def note(event: events.JobRetryRequested) -> None:
        failed = event.failed
        before = {
            "job": failed.job,
            "queue": failed.queue,
            "attempts": failed.attempts,
            "error": f"{failed.error_type}: {failed.error}"[:1_000],
            "group": failed.fingerprint,
            "failed_at": failed.failed_at.isoformat(),
        }
        tenant_id = int(failed.tenant) if failed.tenant else None
        with database.system_session("a failed job is put back") as session, session.begin():
            record(
                session,
                actor,
                "queue.job_retried",
                "job",
                failed.id,
                before=before,
                tenant_id=tenant_id,
                job_id=failed.id,
            )

    events.job_retry_requested.connect(note, weak=False)
    return lambda: events.job_retry_requested.disconnect(note)
