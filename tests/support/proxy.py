"""A proxy before a server on a unix socket that can lose what the server answers."""

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from support.servers import short_directory


class LosingProxy:
    """Passes bytes both ways; told to, it cuts a connection instead of passing an answer.

    The request has reached the server by then and was executed: only the answer is lost.
    """

    def __init__(self, target: Path, path: Path) -> None:
        """Listen on `path` for connections to `target`."""
        self.path = path
        self.cuts = 0
        self._target = target
        self._wanted: bytes | None = None
        self._after = 0
        self._lock = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(32)
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def lose_answer_to(self, request: bytes, *, after: int = 0) -> None:
        """Cut the connection at the answer to the next request that contains these bytes.

        `after` such requests are answered before.
        """
        with self._lock:
            self._wanted, self._after = request, after

    def cut_all(self) -> None:
        """Cut every open connection."""
        with self._lock:
            opened, self._open = self._open, []
        for side in opened:
            _close(side)

    def close(self) -> None:
        """Cut everything and stop listening."""
        _close(self._listener)
        self.cut_all()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            server.connect(str(self._target))
            losing = threading.Event()
            with self._lock:
                self._open += [client, server]
            for work, args in (
                (self._forward, (client, server, losing)),
                (self._answer, (server, client, losing)),
            ):
                thread = threading.Thread(target=work, args=args, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _forward(
        self, client: socket.socket, server: socket.socket, losing: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := client.recv(1 << 20):
                if self._is_wanted(data):
                    losing.set()
                server.sendall(data)
        _close(server)

    def _is_wanted(self, data: bytes) -> bool:
        with self._lock:
            if self._wanted is None or self._wanted not in data:
                return False
            if self._after > 0:
                self._after -= 1
                return False
            self._wanted = None
            return True

    def _answer(
        self, server: socket.socket, client: socket.socket, losing: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 20):
                if losing.is_set():
                    self.cuts += 1
                    break
                client.sendall(data)
        _close(client)
        _close(server)


def _close(side: socket.socket) -> None:
    with suppress(OSError):
        side.shutdown(socket.SHUT_RDWR)
    side.close()


@contextmanager
def losing_proxy(target: Path) -> Iterator[LosingProxy]:
    """Yield a proxy before the server on the socket `target`."""
    directory = short_directory("m2b-p-")
    proxy = LosingProxy(target, directory / "s")
    try:
        yield proxy
    finally:
        proxy.close()
        shutil.rmtree(directory, ignore_errors=True)
