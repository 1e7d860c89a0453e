import select
import socket
import threading
from collections.abc import Iterator

import pytest

from meet2be.integrations import switchboard
from meet2be.integrations.guarded_dns import Question
from meet2be.integrations.switchboard import Pause, Steps, Switchboard
from onqueue.clock import SystemClock

monotonic = SystemClock().monotonic


class Heard:
    """What came of conversations, in the order of their ends, and by which threads."""

    def __init__(self) -> None:
        self.found: list[object] = []
        self.threads: list[threading.Thread] = []
        self._told = threading.Semaphore(0)

    def __call__(self, found: object, error: Exception | None) -> None:
        self.found.append(error if error is not None else found)
        self.threads.append(threading.current_thread())
        self._told.release()

    def wait(self, ends: int = 1) -> None:
        for _ in range(ends):
            assert self._told.acquire(timeout=10)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def reading(sock: socket.socket, pieces: int, until: float = 10.0, number: int = 1) -> Steps[bytes]:
    """Read so many pieces, each after a wait for it."""
    found = b""
    while pieces:
        yield Pause(sock, select.POLLIN, monotonic() + until, number)
        try:
            found += sock.recv(100)
        except BlockingIOError:
            continue
        pieces -= 1
    return found


def test_a_conversation_goes_on_with_each_piece_and_others_wait_for_nothing(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    heard, board = Heard(), Switchboard(monotonic)
    ours, theirs = pair
    board.begin(reading(ours, 2), heard)
    other, its_peer = socket.socketpair()
    other.setblocking(False)
    with other, its_peer:
        its_peer.send(b"at once")
        board.begin(reading(other, 1), heard)
        heard.wait()
    theirs.send(b"a")
    board.begin(reading(ours, 0), heard)
    heard.wait()
    assert heard.found == [b"at once", b""]
    theirs.send(b"b")
    heard.wait()
    assert b"".join(heard.found[2:]) == b"ab"  # type: ignore[arg-type]
    assert len(set(heard.threads)) == 1


def test_what_a_conversation_raises_is_heard_and_ends_no_other(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    heard, board = Heard(), Switchboard(monotonic)
    ours, theirs = pair
    board.begin(reading(ours, 1), heard)

    def broken() -> Steps[bytes]:
        yield Pause(Question("never.example"), 0, monotonic() + 0.01)
        return b""

    def closed() -> Steps[bytes]:
        with socket.socket() as sock:
            sock.close()
            yield Pause(sock, select.POLLIN, monotonic() + 10, 1)
        return b""

    board.begin(broken(), heard)
    board.begin(closed(), heard)
    heard.wait(2)
    assert {type(each) for each in heard.found} == {TimeoutError, ValueError}
    theirs.send(b"still here")
    heard.wait()
    assert heard.found[-1] == b"still here"


def test_who_hears_and_raises_takes_no_other_with_it(caplog: pytest.LogCaptureFixture) -> None:
    heard, board = Heard(), Switchboard(monotonic)

    def over() -> Steps[int]:
        yield from ()
        return 1

    def deaf(_found: object, _error: Exception | None) -> None:
        raise ValueError("deaf")

    board.begin(over(), deaf)
    board.begin(over(), heard)
    heard.wait()
    assert heard.found == [1]
    assert "could not hear" in caplog.text


def test_an_answer_that_comes_from_elsewhere_is_waited_for_and_one_too_late_is_nobodys() -> None:
    heard, board = Heard(), Switchboard(monotonic)

    def asking(question: Question, seconds: float) -> Steps[bool]:
        try:
            yield Pause(question, 0, monotonic() + seconds)
        except TimeoutError:
            return False
        return question.is_done

    late, soon = Question("late.example"), Question("soon.example")
    board.begin(asking(late, 0.01), heard)
    heard.wait()
    board.begin(asking(soon, 10), heard)
    soon.answer(["192.0.2.1"])
    heard.wait()
    late.answer(["192.0.2.2"])
    board.begin(asking(soon, 10), heard)
    heard.wait()
    assert heard.found == [False, True, True]


def test_the_next_connection_of_a_conversation_is_heard_though_the_former_was_closed() -> None:
    heard, board = Heard(), Switchboard(monotonic)

    def two() -> Steps[list[bytes]]:
        found = []
        for number in (1, 2):
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            with ours, theirs:
                theirs.send(b"%d" % number)
                found.append((yield from reading(ours, 1, number=number)))
        return found

    board.begin(two(), heard)
    heard.wait()
    assert heard.found == [[b"1", b"2"]]


def test_the_thread_ends_without_work_and_another_one_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(switchboard, "IDLE", 0.01)
    heard, board = Heard(), Switchboard(monotonic)

    def over() -> Steps[int]:
        yield from ()
        return 1

    for _ in range(2):
        board.begin(over(), heard)
        heard.wait()
        heard.threads[-1].join(10)
        assert not heard.threads[-1].is_alive()
    assert heard.threads[0] is not heard.threads[1]


def test_a_thread_that_cannot_go_on_ends_also_who_would_wait_again(
    pair: tuple[socket.socket, socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    def stopped() -> float:
        raise OSError("no clock")

    def trying(sock: socket.socket) -> Steps[bytes]:
        for _ in range(4):
            try:
                yield from reading(sock, 1)
            except OSError:
                continue
        return b"tried"

    heard, board = Heard(), Switchboard(stopped)
    board.begin(trying(pair[0]), heard)
    heard.wait()
    assert str(heard.found[0]) == "no clock"
    assert "cannot go on" in caplog.text
