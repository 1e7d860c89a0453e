"""How bytes leave: at once where that is possible, and the rest the ordinary way."""

from collections.abc import Sequence
from typing import Any

import pytest

from onqueue.drivers.redis.wire import Forms, Line


class FakeSocket:
    """Answers each command with one, and keeps what redis-py would send."""

    def __init__(self) -> None:
        self._sock = object()
        self.sent = b""

    def connect(self) -> None:
        self.sent = b""

    def disconnect(self) -> None:
        self.sent = b"closed"

    def send_packed_command(self, command: Sequence[bytes], *, check_health: bool) -> None:
        assert not check_health
        self.sent += b"".join(command)

    def read_response(self, disable_decoding: bool) -> Any:
        assert disable_decoding
        return 1


@pytest.mark.parametrize("taken", [0, 3, 8])
def test_what_a_trip_could_not_send_at_once_follows_the_ordinary_way(taken: int) -> None:
    socket, at_once = FakeSocket(), bytearray()

    def send(_sock: Any, packed: bytes) -> bytes:
        at_once.extend(packed[:taken])
        return packed[taken:]

    line = Line(lambda: socket, Forms(), send)
    assert line.ask(b"a trip..") == 1
    assert (bytes(at_once), socket.sent) == (b"a trip.."[:taken], b"a trip.."[taken:])


def test_a_line_without_another_way_sends_by_the_librarys() -> None:
    socket = FakeSocket()
    assert Line(lambda: socket, Forms()).ask_all([b"one", b"two"]) == [1, 1]
    assert socket.sent == b"onetwo"
