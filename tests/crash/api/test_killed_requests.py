"""A web process is killed in the middle of a request with a key; the caller asks again."""

import http.client
import json
import multiprocessing
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from werkzeug.serving import make_server

from meet2be.api_tokens import remembering
from meet2be.api_tokens.remembering import LEASE
from meet2be.audit.models import AuditEntry
from meet2be.db import Database
from meet2be.web.api import serving
from meet2be.webhooks.models import WebhookEndpoint
from onqueue.testing.clock import FakeClock
from support.api import V1, Program, program
from support.factories import make_tenant
from support.web import Web, web_on

pytestmark = pytest.mark.crash

PATH = "/webhook-endpoints"
BODY = {"url": "https://8.8.8.8/hook"}
KEY = "only-once"


def _die(*_arguments: object, **_named: object) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def _answered_and_die(*arguments: Any) -> None:
    """Write the answer beside the effect, and be killed before both are committed."""
    remembered(*arguments)
    _die()


remembered = remembering.answer
POINTS = {
    # The key is claimed, and nothing was begun.
    "claimed": (serving, "_worked", _die),
    # All is written, and nothing committed.
    "written": (remembering, "answer", _answered_and_die),
    # All is committed, and the caller has not heard of it.
    "committed": (serving, "_json", _die),
}


def _serve(web: Web, listening: socket.socket, point: str) -> None:
    """Serve requests in a process of its own, which is killed at a point of the first one."""
    web.services.database.forget_connections()
    place, name, death = POINTS[point]
    setattr(place, name, death)
    host, port = listening.getsockname()
    make_server(host, port, web.app, fd=listening.fileno()).serve_forever()


def ask_who_dies(web: Web, caller: Program, point: str) -> None:
    """Send the request to a process that is killed; returns when it is dead."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = multiprocessing.get_context("fork").Process(
            target=_serve, args=(web, listening, point)
        )
        process.start()
        host, port = listening.getsockname()
        connection = http.client.HTTPConnection(host, port, timeout=60)
        headers = {
            "Authorization": f"Bearer {caller.token}", "Content-Type": "application/json",
            "Idempotency-Key": KEY,
        }  # fmt: skip
        connection.request("POST", V1 + PATH, json.dumps(BODY), headers)
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            connection.getresponse()
        connection.close()
        process.join(60)
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("point", POINTS)
def test_a_request_whose_server_was_killed_is_done_once_and_answered_alike(
    sqlite_database: Database, clock: FakeClock, tmp_path: Path, point: str
) -> None:
    with web_on(sqlite_database, clock, tmp_path) as web:
        tenant = make_tenant(sqlite_database)
        caller = program(web, tenant)
        sqlite_database.forget_connections()  # no open one goes into the child
        ask_who_dies(web, caller, point)
        if point != "committed":
            early = caller.post(PATH, BODY, key=KEY)
            assert (early.status_code, early.get_json()["code"]) == (409, "key_in_use")
            clock.advance(int(early.headers["Retry-After"]) - 1)
            assert caller.post(PATH, BODY, key=KEY).status_code == 409
            clock.advance(1)
        first, second = (caller.post(PATH, BODY, key=KEY) for _ in range(2))
        assert first.status_code == 201, first.text
        assert (second.status_code, second.data) == (201, first.data), "with the same secret"
        replayed = [each.headers.get("Idempotency-Replayed") for each in (first, second)]
        assert replayed == ["true" if point == "committed" else None, "true"]
    assert LEASE.total_seconds() == 90
    with sqlite_database.tenant_session(tenant.id, read_only=True) as session:
        endpoints = session.scalars(select(WebhookEndpoint.uid)).all()
        added = AuditEntry.action == "webhook_endpoint.added"
        written = session.scalar(select(func.count()).select_from(AuditEntry).where(added))
    assert (endpoints, written) == ([first.get_json()["uid"]], 1)
