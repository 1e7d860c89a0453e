"""A sender is killed around its request; the next run of the same job sends it again."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import standardwebhooks

from meet2be.db import Database
from onqueue.clock import SystemClock
from onqueue.testing.clock import FakeClock
from support.hooks import KEY, staged
from support.receivers import in_turn, receiving, status

pytestmark = pytest.mark.crash
SENDER = Path(__file__).with_name("sender.py")


@pytest.fixture
def clock() -> FakeClock:
    """Begins now, as the killed process's clock does."""
    return FakeClock(SystemClock().now())


@pytest.mark.parametrize(("point", "received"), [("before", 1), ("after", 2)])
def test_a_killed_sender_loses_nothing_and_the_id_stays(
    sqlite_database: Database, clock: FakeClock, point: str, received: int
) -> None:
    """W16, W17: at least once; receivers tell by the webhook-id."""
    with receiving(in_turn(status(200))) as receiver:
        stage = staged(sqlite_database, clock, receiver.url())
        delivery = stage.announced()
        command = [
            sys.executable, str(SENDER), str(sqlite_database.engine.url), KEY, point,
            str(stage.tenant_id), str(delivery.id),
        ]  # fmt: skip
        killed = subprocess.run(command, capture_output=True, check=False, timeout=180)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert (stage.row(delivery).status, stage.attempts(delivery)) == ("sending", [])
        stage.deliver(delivery)
        assert stage.row(delivery).status == "succeeded"
    assert len(receiver.received) == received
    assert len({request.headers["webhook-id"] for request in receiver.received}) == 1
    for request in receiver.received:
        standardwebhooks.Webhook(stage.secret).verify(request.body, request.headers)
