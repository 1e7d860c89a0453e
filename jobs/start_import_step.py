"""Begin a step of an import: a batch with a job for each chunk."""

from sqlalchemy.orm import Session

from jobs.end_import_step import EndImportStep
from jobs.tell_import_failure import TellImportFailure
from jobs.work_import_chunk import WorkImportChunk
from meet2be.imports.closing import chunks_to_do
from meet2be.imports.desk import ImportDesk
from meet2be.imports.facts import step_of
from meet2be.imports.models import Import
from meet2be.imports.queries import find_import
from meet2be.queueing import dispatch_batch, tenant_of
from onqueue import Job, batch


class StartImportStep(Job):
    """Dispatches the batch in the commit that notes it, so that there is one batch a step."""

    connection = "redis"
    queue = "imports"
    durable = True
    timeout = 120
    tries = 8
    backoff = (1, 5, 30, 120)

    import_uid: str
    turn: int
    step: str

    def handle(self, desk: ImportDesk) -> None:
        """Begin it, unless it has begun or the import has moved on."""
        with desk.database.tenant_session(tenant_of(self) or 0) as session:
            found = find_import(session, self.import_uid)
            if found is None:
                return
            found = session.get_one(Import, found.id, with_for_update=True)
            if found.turn != self.turn or found.batch_id is not None:
                return
            found.batch_id = self._begin(session, found)
            session.commit()

    def _begin(self, session: Session, found: Import) -> str:
        uid, turn = found.uid, found.turn
        step = step_of(self.step)
        pending = batch(
            WorkImportChunk(import_uid=uid, turn=turn, step=step, n=n)
            for n in chunks_to_do(session, found, step)
        )
        pending.name(f"import {uid}: {step}").on_connection("redis").on_queue("imports")
        pending.allow_failures().finally_(EndImportStep(import_uid=uid, turn=turn, step=step))
        if step == "write":
            pending.catch(TellImportFailure(import_uid=uid, turn=turn))
        return dispatch_batch(session, pending)
