"""Simulators for tests: a private provider or mail sink, a receiver of webhooks, a client."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import stripe

from simulators.processes import ProviderProcess

API_KEY = "sk_test_simulated"


def stripe_client(url: str, retries: int = 0) -> stripe.StripeClient:
    """Return the real library's client, pointed at a simulator; it retries only when told to."""
    return stripe.StripeClient(
        API_KEY,
        base_addresses={"api": url},
        max_network_retries=retries,
        # one session for each client, so that no socket outlives its test
        http_client=stripe.RequestsClient(timeout=60),
    )


def calls(provider: ProviderProcess, kind: str) -> int:
    """Return how often the provider was called in this way."""
    return int(provider.control.summary()["calls"].get(kind, 0))


@dataclass
class Receiver:
    """What a webhook receiver was sent: bodies with their signatures, in order of arrival."""

    url: str
    deliveries: list[tuple[bytes, str]] = field(default_factory=list)
    # The statuses of the next answers; 200 when empty.
    answers: list[int] = field(default_factory=list)
    # Cleared, the receiver keeps its callers waiting.
    may_answer: Event = field(default_factory=Event)

    def types(self) -> list[str]:
        """Return the kinds of the events that arrived."""
        return [json.loads(body)["type"] for body, _ in self.deliveries]


@contextmanager
def webhook_receiver() -> Iterator[Receiver]:
    """Yield a web server on a free port that takes events."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.deliveries.append((body, self.headers["Stripe-Signature"]))
            receiver.may_answer.wait(60)
            self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}/webhooks/stripe")
    receiver.may_answer.set()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.may_answer.set()
        server.shutdown()
        server.server_close()
        thread.join()
