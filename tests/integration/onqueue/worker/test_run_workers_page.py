"""The jobs of docs/how-to/run-workers.md run as the page says."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from onqueue import QueueManager, registry, using
from onqueue.testing.clock import FakeClock

pytestmark = pytest.mark.usefixtures("any_names")

PAGE = Path(__file__).resolve().parents[4] / "docs" / "how-to" / "run-workers.md"


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the page defines; its jobs are forgotten after the test."""
    monkeypatch.setattr(registry, "_classes", dict(registry._classes))
    names: dict[str, Any] = {"__name__": "how_to_run_workers"}
    text = PAGE.read_text("utf-8")
    for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        exec(block, names)  # noqa: S102 - our own page
    manager = QueueManager("sync", {"sync": {"driver": "sync"}}, clock=FakeClock())
    with using(manager):
        yield names


def test_the_jobs_of_the_page_run(page: dict[str, Any]) -> None:
    page["Greet"]("ann").dispatch_sync()
    page["Render"](3).dispatch_sync()
    page["Crawl"]("https://example.com").dispatch_sync()
    assert page["greeted"] == ["ann"]


def test_the_job_that_hears_of_a_stop_goes_on_another_time(page: dict[str, Any]) -> None:
    job = page["Crawl"]("https://example.com")
    interactions = job.with_fake_queue_interactions()
    job.handle()
    interactions.assert_not_released()
    job.interrupted(15)
    assert job.is_told
