"""Jobs that a page leaves for after its response."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

from flask import Flask, request_started

import onqueue
from meet2be.db import Database
from onqueue import Job
from onqueue.testing.clock import FakeClock
from support.waiting import eventually
from support.web import web_on

SEEN: list[bool] = []
ANSWERED = threading.Event()


class NoteVisit(Job):
    name = "tests.note-visit"

    def handle(self) -> None:
        SEEN.append(ANSWERED.wait(60))


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(app: Flask) -> Iterator[int]:
    """Serve the application on a free port."""
    with make_server("127.0.0.1", 0, app, handler_class=QuietHandler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_a_job_runs_when_the_whole_response_has_arrived(
    sqlite_database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    """K44."""
    SEEN.clear()
    ANSWERED.clear()

    def visit(_app: Flask) -> None:
        NoteVisit().dispatch_after_response()

    with (
        web_on(sqlite_database, clock, tmp_path) as web,
        onqueue.using(web.services.queues),
        request_started.connected_to(visit, web.app),
        serving(web.app) as port,
    ):
        asking = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        asking.request("GET", "/login")
        answer = asking.getresponse()
        assert answer.status == 200
        assert answer.read()
        assert SEEN == []
        ANSWERED.set()
        eventually(lambda: SEEN == [True])
        asking.close()
