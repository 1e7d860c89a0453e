"""Tell that a chunk of an import failed while the others go on."""

from meet2be.imports.closing import first_failure
from meet2be.imports.desk import ImportDesk
from meet2be.queueing import tenant_of
from onqueue import Job


class TellImportFailure(Job):
    """Writes one notice for the person who imports."""

    connection = "redis"
    queue = "imports"
    timeout = 60
    tries = 5
    backoff = (1, 5, 30)

    import_uid: str
    turn: int

    def handle(self, desk: ImportDesk) -> None:
        """Write it."""
        first_failure(desk, tenant_of(self) or 0, self.import_uid, self.turn)
