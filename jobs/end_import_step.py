"""Bring an import on when the last chunk of a step has ended."""

from meet2be.imports.closing import end_step
from meet2be.imports.desk import ImportDesk
from meet2be.imports.facts import step_of
from meet2be.queueing import tenant_of
from onqueue import Job


class EndImportStep(Job):
    """Counts what became of the rows, and tells of the end."""

    connection = "redis"
    queue = "imports"
    timeout = 600
    tries = 8
    backoff = (1, 5, 30, 120)

    import_uid: str
    turn: int
    step: str

    def handle(self, desk: ImportDesk) -> None:
        """End the step; a second time changes nothing."""
        step = step_of(self.step)
        end_step(desk, tenant_of(self) or 0, self.import_uid, self.turn, step)
