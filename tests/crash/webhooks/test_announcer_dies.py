"""The row is a delivery's outbox: it gets its job whoever dies, and when the broker is lost."""

import multiprocessing
import os
import signal
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from sqlalchemy import event
from sqlalchemy.orm import Session

from meet2be.bootstrap import Services, bootstrap
from meet2be.config import Settings
from meet2be.db import Database
from meet2be.webhooks.replaying import OVERDUE, dispatch_lost
from onqueue.outbox.relay import Relay
from onqueue.outbox.store import SqlOutbox
from onqueue.testing.clock import FakeClock
from support.hooks import announce_and_spread, staged

pytestmark = pytest.mark.crash


def _announce_and_die(settings: Settings, tenant_id: int) -> None:
    """Commit a delivery, and be killed before anything is handed to the broker."""

    def die(_session: Session) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    services: Services = bootstrap(settings)
    event.listen(Session, "after_commit", die, insert=True)
    announce_and_spread(services.database, tenant_id)


def test_a_delivery_gets_its_job_whoever_dies_after_the_commit(
    sqlite_database: Database, clock: FakeClock, redis_url: str, tmp_path: Path
) -> None:
    """W16."""
    stage = staged(sqlite_database, clock, "http://127.0.0.1:9/hook")
    settings = Settings.from_env({
        "MEET2BE_ENV": "test", "VAR_DIR": str(tmp_path), "REDIS_URL": redis_url,
        "DATABASE_URL": f"sqlite:///{sqlite_database.engine.url.database}",
        "APP_KEY": "k" * 48, "LOG_LEVEL": "error",
    })  # fmt: skip
    dying = multiprocessing.get_context("fork").Process(
        target=_announce_and_die, args=(settings, stage.tenant_id)
    )
    dying.start()
    dying.join(60)
    assert dying.exitcode == -signal.SIGKILL

    with closing(bootstrap(settings)) as services:
        queue = services.queues.connection("redis")
        assert queue.size("webhooks").ready == 0
        outbox = SqlOutbox(services.database.engine, services.clock)
        Relay(outbox, services.queues, services.clock, grace=0).step()
        assert queue.size("webhooks").ready == 1

        with redis.Redis.from_url(redis_url) as broker:
            broker.flushall()
        with services.database.system_session("tests: relay") as session:
            late = services.clock.now() + OVERDUE + timedelta(seconds=1)
            assert dispatch_lost(session, late) == 1
            session.commit()
        assert queue.size("webhooks").ready == 1
