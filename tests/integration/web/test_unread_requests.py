"""Requests that gunicorn refuses before the application sees them, through a real gunicorn."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from meet2be.local.environment import ROOT
from support.waiting import eventually

CONF = (ROOT / "infra" / "supervisor" / "programs" / "web.conf").read_text("utf-8")
APP = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]
"""


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str


@dataclass
class Server:
    path: str

    def connect(self) -> socket.socket:
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(60)
        try:
            line.connect(self.path)
        except OSError:
            line.close()
            raise
        return line

    def say(self, *parts: bytes) -> Answer:
        """Send bytes, and return what comes until the server closes."""
        with self.connect() as line, line.makefile("rb") as answer:
            for part in parts:
                line.sendall(part)
            return read(answer.read())


def read(answer: bytes) -> Answer:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in rest)
    assert len(body) == int(headers["Content-Length"])
    return Answer(int(first.split()[1]), headers, body.decode())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """gunicorn as the platform starts it, with an application that takes no second to start."""
    folder = tmp_path_factory.mktemp("web")
    (folder / "small_app.py").write_text(APP)
    options = re.findall(r" (--(?:worker-class|limit-request-line|threads) \S+)", CONF)
    assert len(options) == 3
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", f"--bind=unix:{folder}/s", "--no-control-socket"),
            *(word for option in options for word in option.split()),
            *(f"--chdir={folder}", "small_app:app"),
        ],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    served = Server(f"{folder}/s")

    def answers() -> bool:
        assert process.poll() is None
        try:
            return served.say(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").text == "ok"
        except (FileNotFoundError, ConnectionRefusedError):
            return False

    try:
        eventually(answers)
        yield served
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # nobody has to be waited for
        process.wait(timeout=60)


def test_a_long_address_is_answered_with_a_page_of_ours(server: Server) -> None:
    answer = server.say(b"GET /events?q=" + b"x" * 9_000 + b" HTTP/1.1\r\n\r\n")
    assert answer.status == 414
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert '<link rel="stylesheet" href="/static/meet2be.css">' in answer.text
    assert "<h1>The address is too long</h1>" in answer.text
    assert "may have 8,190 bytes" in answer.text
    assert "Shorten the address" in answer.text


@pytest.mark.parametrize(
    ("head", "status", "code", "says"),
    [
        (b"GET /api/v1/events?q=%s HTTP/1.1\r\n\r\n", 414, "uri_too_long", "may have 8,190 bytes"),
        (b"POST /api/v1/x HTTP/1.1\r\nA: %s\r\n\r\n", 431, "headers_too_large", "8,190 bytes each"),
        (b"GET /api HTTP/1.1\r\nA b: %.1s\r\n\r\n", 400, "bad_request", "is not as HTTP has it"),
        (b"GET /api/v1/ HTTP/1.1\r\nExpect: %.1s\r\n\r\n", 417, "bad_request", "as HTTP has it"),
    ],
)
def test_programs_are_told_so_as_of_any_problem(
    server: Server, head: bytes, status: int, code: str, says: str
) -> None:
    answer = server.say(head % (b"x" * 9_000))
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    told = json.loads(answer.text)
    assert (told["status"], told["code"]) == (status, code)
    assert says in told["detail"]
    assert told["request_id"] == answer.headers["X-Request-Id"]
    assert told["type"] == f"/api/docs#problem-{code.replace('_', '-')}"


def test_cookies_that_are_too_large_are_told_with_what_to_do(server: Server) -> None:
    answer = server.say(b"GET /events HTTP/1.1\r\nCookie: a=" + b"x" * 9_000 + b"\r\n\r\n")
    assert answer.status == 431
    assert "delete those of this site" in answer.text


def test_what_is_no_http_is_told_so(server: Server) -> None:
    answer = server.say(b"\x16\x03\x01 hello\r\n\r\n")
    assert answer.status == 400
    assert "<h1>The request cannot be understood</h1>" in answer.text


def test_a_path_that_comes_byte_by_byte_behind_another_request_is_known(server: Server) -> None:
    with server.connect() as line, line.makefile("rb") as answer:
        line.sendall(b"GET /events HTTP/1.1\r\n\r\n")
        while answer.readline() != b"\r\n":
            pass
        assert answer.read(2) == b"ok"
        for byte in b"GET /api/v1/":
            line.sendall(bytes([byte]))
        line.sendall(b"x" * 9_000)
        assert read(answer.read()).headers["Content-Type"] == "application/problem+json"


def test_who_leaves_before_the_answer_harms_nobody(server: Server) -> None:
    for _ in range(8):
        with server.connect() as line:
            line.sendall(b"GET /" + b"x" * 9_000)
    assert server.say(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").text == "ok"
