"""Remove the files and rows of old imports."""

from meet2be.imports.desk import ImportDesk
from meet2be.imports.tidying import tidy_imports
from onqueue import Job


class TidyImports(Job):
    """Keeps no list of persons longer than needed; the entries of the imports stay."""

    connection = "redis"
    queue = "low"
    timeout = 600
    tries = 3
    backoff = (60, 600)

    def handle(self, desk: ImportDesk) -> None:
        """Go through what ended long ago."""
        tidy_imports(desk)
