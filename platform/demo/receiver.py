"""A consumer of webhooks, as the demo has one: out of order at first, then counting what comes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LARGEST = 1024 * 1024


@dataclass(slots=True)
class Received:
    """What came in: ids by kind of event, refusals, and whatever was not signed as it should be."""

    ids: dict[str, Counter[str]] = field(default_factory=dict)
    refused: int = 0
    unsigned: int = 0

    def taken(self, kind: str) -> int:
        """Return how many different messages of a kind were taken."""
        return len(self.ids.get(kind, ()))

    @property
    def repeats(self) -> int:
        """How many messages were taken more than once."""
        return sum(number - 1 for counter in self.ids.values() for number in counter.values())


class Receiver:
    """Listens on a port of the loopback address and answers 503 to the first calls."""

    def __init__(self, port: int, failures: int) -> None:
        """Refuse the first ``failures`` calls."""
        self.received = Received()
        self.secret = ""
        self._failures = failures
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = min(int(self.headers.get("Content-Length", "0")), LARGEST)
                body = self.rfile.read(length)
                self.send_response(receiver._take(dict(self.headers.items()), body))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- its own name
                """Say nothing: the demo tells in the end."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def _take(self, headers: dict[str, str], body: bytes) -> int:
        given = {name.lower(): value for name, value in headers.items()}
        with self._lock:
            if not self._is_signed(given, body):
                self.received.unsigned += 1
                return 401
            if self.received.refused < self._failures:
                self.received.refused += 1
                return 503
            kind = json.loads(body)["type"]
            self.received.ids.setdefault(kind, Counter())[given["webhook-id"]] += 1
            return 204

    def _is_signed(self, headers: dict[str, str], body: bytes) -> bool:
        """Check the signature as Standard Webhooks 1.0.0 says, with nothing but its text."""
        try:
            key = base64.b64decode(self.secret.removeprefix("whsec_"))
            told = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
            signatures = headers["webhook-signature"].split()
        except (KeyError, ValueError):
            return False
        mine = base64.b64encode(hmac.digest(key, told, hashlib.sha256)).decode()
        return any(hmac.compare_digest(each, f"v1,{mine}") for each in signatures)
