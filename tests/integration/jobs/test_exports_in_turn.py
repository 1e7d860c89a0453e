"""One export of an organisation at a time: what others wait for is a place, not its files."""

from __future__ import annotations

from typing import Any

import pytest
import svcs

from jobs import export_event_attendees
from jobs.export_event_attendees import ExportEventAttendees
from meet2be.exports.running import Counter
from onqueue.payload import plan_of
from onqueue.testing import FakeClock
from support.child_loop import Bench
from support.redis_rig import Rig, message, rig

AURORA, BOREALIS = 1, 2


def process(broker: Rig) -> Bench:
    """Return what a worker process does with the queue."""
    registry = svcs.Registry()
    registry.register_value(Counter, object(), enter=False)
    bench = Bench(registry)
    consumer = broker.consumer("default")
    bench.consumer = consumer  # type: ignore[assignment]
    bench.checkpoints = consumer.checkpoints()
    return bench


def push(broker: Rig, export: str, tenant: int) -> None:
    payload = plan_of(ExportEventAttendees).encode(
        ExportEventAttendees(export=export), FakeClock().time(), {"tenant": str(tenant)}
    )
    assert broker.queue.push_many([message("default", payload)]) == 1


def test_a_second_export_of_a_tenant_waits_and_another_tenants_does_not(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B4. Two processes: while the first is at work, the second takes whom it may."""
    made: list[tuple[str, int, int]] = []
    with rig(redis_url) as broker:
        first, second = process(broker), process(broker)

        def run_export(_counter: Any, _tenant: int, export: str, control: Any) -> bool:
            if export == "long":
                second.run()
            made.append((export, control.job.attempts, broker.queue.size("default").parked))
            return True

        monkeypatch.setattr(export_event_attendees, "run_export", run_export)
        push(broker, "long", AURORA)
        push(broker, "next", AURORA)
        push(broker, "other", BOREALIS)
        first.run()
        assert made == [("other", 1, 1), ("long", 1, 1), ("next", 1, 0)], "none spent an attempt"
