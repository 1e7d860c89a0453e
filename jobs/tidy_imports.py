"""Go on with imports that stand still, and forget the lists of old ones."""

from meet2be.imports.desk import ImportDesk
from meet2be.imports.tidying import tidy_imports, wake_imports
from onqueue import Job


class TidyImports(Job):
    """Keeps no list of persons longer than needed; the entries of the imports stay."""

    connection = "redis"
    queue = "low"
    timeout = 600
    tries = 3
    backoff = (60, 600)

    def handle(self, desk: ImportDesk) -> None:
        """Look at those that stand still, then at those that ended long ago."""
        wake_imports(desk)
        tidy_imports(desk)
