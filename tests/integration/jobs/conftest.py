"""A mail room on a real broker, with a real mail server that misbehaves on demand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from meet2be.config import Settings
from meet2be.db.sessions import Database
from meet2be.integrations.mail_smtp import SmtpSettings, SmtpTransport
from meet2be.tenancy.models import Tenant
from simulators.processes import MailSinkProcess
from support.mail_jobs import MailRoom
from support.redis_rig import rig
from support.sinks import control, running_sink, sink

__all__ = ["control", "running_sink", "sink"]


@pytest.fixture
def room(
    sqlite_database: Database, redis_url: str, sink: MailSinkProcess, tmp_path: Path
) -> Iterator[MailRoom]:
    with sqlite_database.system_session("test: two tenants") as session:
        session.add(Tenant(slug="aurora", name="Aurora Conferences"))
        session.add(Tenant(slug="borealis", name="Borealis Fairs"))
        session.commit()
    transport = SmtpTransport(SmtpSettings("127.0.0.1", sink.ports["port"], timeout=60))
    settings = Settings.from_env({"MEET2BE_ENV": "test", "VAR_DIR": str(tmp_path)})
    with rig(redis_url) as broker:
        yield MailRoom(sqlite_database, broker, transport, settings)
    transport.close()
