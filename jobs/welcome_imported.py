"""Welcome the people whom an import brought."""

from meet2be.imports.desk import ImportDesk
from meet2be.imports.welcoming import welcome_imported
from meet2be.queueing import tenant_of
from onqueue import Job


class WelcomeImported(Job):
    """Has them welcomed, chunk by chunk; nobody twice, however often it runs."""

    connection = "redis"
    queue = "imports"
    durable = True
    timeout = 1800
    tries = 8
    backoff = (5, 30, 120)

    import_uid: str

    def handle(self, desk: ImportDesk) -> None:
        """Go through the import."""
        welcome_imported(desk, tenant_of(self) or 0, self.import_uid, self.ensure_lease)
