"""An application whose batches are kept by its broker, or by a database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.plan_jobs import PlanApp


@pytest.fixture(params=["connection", "database"])
def counted(request: pytest.FixtureRequest, tmp_path: Path, redis_url: str) -> Iterator[PlanApp]:
    """The application, with each kind of store."""
    app = PlanApp(tmp_path, redis_url, batches=request.param)
    yield app
    app.close()
