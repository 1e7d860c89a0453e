"""An incident from outside: many jobs fail, one cause is mended, its jobs go back at a rate."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from onqueue.clock import SystemClock
from onqueue.connections import QueueManager
from onqueue.console import build_group
from onqueue.failed import MemoryFailedJobs
from support.failures import fail

Ask = Callable[..., Any]


@pytest.fixture
def manager(redis_url: str) -> Iterator[QueueManager]:
    connections = {"redis": {"driver": "redis", "url": redis_url}}
    made = QueueManager("redis", connections, MemoryFailedJobs())
    yield made
    made.close()


@pytest.fixture
def ask(manager: QueueManager) -> Ask:
    def invoke(*arguments: str) -> Any:
        result = CliRunner().invoke(build_group(lambda: manager), [*arguments, "--json"])
        assert result.exit_code == 0, result.output
        return json.loads(result.output)

    return invoke


def test_five_hundred_failures_of_three_causes_are_retried_by_group(
    manager: QueueManager, ask: Ask
) -> None:
    """B14: three groups; one goes back at its rate; what was counted before is what went back."""
    causes = (
        (300, "Timeout", "timeout after {0}.5 s at 10.0.0.{0}:5432"),
        (150, "LookupError", "no person {0:032x}"),
        (50, "OSError", "cannot open /srv/{0}/list.csv"),
    )
    number = 0
    for count, kind, text in causes:
        for _ in range(count):
            number += 1
            fail(manager, number, error=text.format(number), error_type=kind)
    groups = ask("failed", "--groups")
    assert [group["count"] for group in groups] == [300, 150, 50]
    smallest = groups[2]["group"][:12]
    assert ask("retry", "--group", smallest, "--dry-run")["would_put_back"] == 50
    clock = SystemClock()
    began = clock.monotonic()
    told = ask("retry", "--group", smallest, "--rate", "200/s")
    assert clock.monotonic() - began >= 49 / 200
    assert told == {"put_back": 50, "missing": [], "refused": []}
    assert ask("failed", "--count") == {"count": 450}
    assert manager.connection().size("default").ready == 50
    assert [group["count"] for group in ask("failed", "--groups")] == [300, 150]
