"""Check, write or undo one chunk of an import."""

from meet2be.imports.closing import stop_import
from meet2be.imports.desk import ImportDesk
from meet2be.imports.errors import ImportStopped, words_for
from meet2be.imports.facts import step_of
from meet2be.imports.steps import chunk_failed, is_over, work_chunk
from meet2be.queueing import lane_of_tenant, tenant_of
from onqueue import Job


class WorkImportChunk(Job):
    """Does a step of some hundred rows in one commit; done once, however often it runs."""

    connection = "redis"
    queue = "imports"
    timeout = 300
    tries = 4
    backoff = (2, 15, 60)

    import_uid: str
    turn: int
    step: str
    n: int

    def fair_key(self) -> int:
        """A lane for each tenant: a long list of one holds up no other's."""
        return lane_of_tenant()

    def handle(self, desk: ImportDesk) -> None:
        """Do it; where the import has ended, the rest of its batch has, too."""
        tenant = tenant_of(self) or 0
        step = step_of(self.step)
        try:
            done = work_chunk(desk, tenant, self.import_uid, self.turn, step, self.n)
        except ImportStopped as error:
            stop_import(desk, tenant, self.import_uid, self.turn, error.why)
            done = False
        over = not done and is_over(desk, tenant, self.import_uid, self.turn, step)
        if over and self.batch is not None:
            self.batch.cancel()

    def failed(self, error: BaseException) -> None:
        """Say on the chunk what was wrong."""
        desk = self.running("failed").service(ImportDesk)
        tenant = tenant_of(self) or 0
        chunk_failed(desk, tenant, self.import_uid, self.turn, self.n, words_for(error))
