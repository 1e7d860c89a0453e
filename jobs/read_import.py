"""Read an uploaded list into chunks."""

from meet2be.imports.closing import stop_import
from meet2be.imports.desk import ImportDesk
from meet2be.imports.errors import ImportStopped, words_for
from meet2be.imports.lists import read_list
from meet2be.queueing import tenant_of
from onqueue import Job


class ReadImport(Job):
    """Streams the file into chunks of rows; begins anew when it was killed."""

    connection = "redis"
    queue = "imports"
    durable = True
    timeout = 1800
    tries = 3
    backoff = (5, 30)

    import_uid: str
    turn: int

    def handle(self, desk: ImportDesk) -> None:
        """Read it, or say on the import why it cannot be read."""
        tenant = tenant_of(self) or 0
        try:
            read_list(desk, tenant, self.import_uid, self.turn, self.ensure_lease)
        except ImportStopped as error:
            stop_import(desk, tenant, self.import_uid, self.turn, error.why)

    def failed(self, error: BaseException) -> None:
        """Say on the import that its list could not be read."""
        desk = self.running("failed").service(ImportDesk)
        stop_import(desk, tenant_of(self) or 0, self.import_uid, self.turn, words_for(error))
