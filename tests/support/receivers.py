"""A server that receives requests as a test wants it: each connection is one scripted answer."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True)
class Received:
    """One request as it came in; names of headers in lower case."""

    target: str
    headers: dict[str, str]
    body: bytes


Answering = Callable[["Receiver", socket.socket, Received], bytes | None]


def status(code: int, *headers: str, body: bytes = b"") -> bytes:
    """Return a whole answer."""
    lines = [f"HTTP/1.1 {code} Whatever", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class Receiver:
    """Listens on a free port of this machine; answers what `answer` says, 200 unless told."""

    answer: Answering | bytes = OK
    context: ssl.SSLContext | None = None
    received: list[Received] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        scheme = "http" if self.context is None else "https"
        return f"{scheme}://{host}:{self.port}{path}"

    def close(self) -> None:
        self.stopping.set()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(peer,), daemon=True).start()

    def _talk(self, peer: socket.socket) -> None:
        with suppress(OSError), peer:
            peer.settimeout(20)
            if self.context is not None:
                peer = self.context.wrap_socket(peer, server_side=True)
            with peer:
                request = self._read(peer)
                if request is None:
                    return
                with self._lock:
                    self.received.append(request)
                    self.in_flight += 1
                    self.most_in_flight = max(self.most_in_flight, self.in_flight)
                try:
                    made = self.answer
                    answer = made if isinstance(made, bytes) else made(self, peer, request)
                    if answer:
                        peer.sendall(answer)
                finally:
                    with self._lock:
                        self.in_flight -= 1

    @staticmethod
    def _read(peer: socket.socket) -> Received | None:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = peer.recv(65_536)
            if not piece:
                return None
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        while len(body) < int(headers.get("content-length", 0)):
            body += peer.recv(65_536)
        return Received(first.split(" ")[1], headers, body)


@contextmanager
def receiving(
    answer: Answering | bytes = OK, context: ssl.SSLContext | None = None
) -> Iterator[Receiver]:
    """Yield a receiver that is closed at the end."""
    receiver = Receiver(answer, context)
    try:
        yield receiver
    finally:
        receiver.close()


def drip(piece: bytes, *, every: float = 0.05, first: bytes = b"") -> Answering:
    """Answer with a piece again and again, without end."""

    def answering(receiver: Receiver, peer: socket.socket, _request: Received) -> None:
        peer.sendall(first)
        while not receiver.stopping.wait(every):
            peer.sendall(piece)

    return answering


def after(seconds: float, answer: bytes = OK) -> Answering:
    """Answer late."""

    def answering(receiver: Receiver, _peer: socket.socket, _request: Received) -> bytes:
        receiver.stopping.wait(seconds)
        return answer

    return answering


def in_turn(*answers: bytes) -> Answering:
    """Answer each request with the next of these, with the last one from then on."""
    left = list(answers)
    lock = threading.Lock()

    def answering(_receiver: Receiver, _peer: socket.socket, _request: Received) -> bytes:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return answering
