"""What the transport says on the wire, to servers that pipeline and to those that do not."""

from __future__ import annotations

import socketserver
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest

from meet2be.integrations.mail import (
    DeliveryDeferred,
    DeliveryRefused,
    DeliveryUncertain,
    Envelope,
    TransportBroken,
)
from meet2be.integrations.mail_smtp import SmtpSettings, SmtpTransport

Answer = Callable[[str], str]
YES = {"DATA": "354 go", ".": "250 kept"}


class Server(socketserver.ThreadingTCPServer):
    """A mail server that answers as it is told to and keeps what it hears."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.answer = answer
        self.lines: list[str] = []
        self.connections = 0


class _Conversation(socketserver.StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        self.server.connections += 1
        self.wfile.write(b"220 ready\r\n")
        while line := self.rfile.readline().decode().strip():
            self.server.lines.append(line)
            if not self._say(self.server.answer(line)):
                return
            if self.server.lines[-1] == "DATA" and self._last.startswith("354"):
                while (text := self.rfile.readline()) != b".\r\n":
                    if not text:
                        return
                if not self._say(self.server.answer(".")):
                    return

    def _say(self, answer: str) -> bool:
        """Send an answer; an empty one hangs up."""
        self._last = answer
        self.wfile.write(f"{answer}\r\n".encode() if answer else b"")
        return bool(answer)


@contextmanager
def talking(answer: Answer) -> Iterator[tuple[Server, SmtpTransport]]:
    with Server(answer) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        transport = SmtpTransport(SmtpSettings("127.0.0.1", server.server_address[1], timeout=60))
        try:
            yield server, transport
        finally:
            transport.close()
            server.shutdown()


def pipelining(line: str) -> str:
    """Answer yes to everything, and offer PIPELINING."""
    greeting = line.lower().startswith("ehlo")
    return "250-here\r\n250 PIPELINING" if greeting else YES.get(line[:4], "250 ok")


def in_turn(line: str) -> str:
    """Answer yes to everything, and offer nothing."""
    return YES.get(line[:4], "250 ok")


def letter(number: int) -> Envelope:
    return Envelope("from@a.example", f"to{number}@b.example", b"Subject: x\r\n\r\n.hi\r\n")


def verbs(server: Server) -> list[str]:
    return [line.split(":")[0] for line in server.lines if not line.lower().startswith("ehlo")]


@pytest.mark.parametrize("answer", [pipelining, in_turn])
def test_two_messages_go_out_on_one_connection(answer: Answer) -> None:
    one, two = letter(1), letter(2)
    with talking(answer) as (server, transport):
        transport.prepare(one)
        assert transport.transmit(one, following=two) == "kept"
        transport.prepare(two)
        assert transport.transmit(two) == "kept"
        assert verbs(server) == ["MAIL FROM", "RCPT TO", "DATA"] * 2
        assert server.connections == 1


def test_the_next_message_is_announced_before_anybody_asks_for_it() -> None:
    announced = Event()

    def answer(line: str) -> str:
        if line == "RCPT TO:<to2@b.example>":
            announced.set()
        return pipelining(line)

    with talking(answer) as (_, transport):
        transport.prepare(letter(1))
        transport.transmit(letter(1), following=letter(2))
        assert announced.wait(60)


@pytest.mark.parametrize("answer", [pipelining, in_turn])
def test_the_time_of_a_slow_server_is_lent_out(answer: Answer) -> None:
    lent = Event()

    def slow(line: str) -> str:
        if line == "MAIL FROM:<from@a.example>":
            assert lent.wait(60)
        return answer(line)

    with talking(slow) as (_, transport):
        transport.prepare(letter(1), meanwhile=lent.set)
        assert transport.transmit(letter(1)) == "kept"


@pytest.mark.parametrize("answer", [pipelining, in_turn])
@pytest.mark.parametrize("to_data", ["354 go", "503 nobody to send it to"])
def test_a_refused_recipient_does_not_stand_in_the_way_of_the_next(
    answer: Answer, to_data: str
) -> None:
    refused = "RCPT TO:<to1@b.example>"
    said: list[str] = []

    def picky(line: str) -> str:
        said.append(line)
        if line == refused:
            return "550 no such mailbox"
        return to_data if line == "DATA" and said[-2] == refused else answer(line)

    with talking(picky) as (_, transport):
        with pytest.raises(DeliveryRefused, match="no such mailbox"):
            transport.prepare(letter(1))
        transport.prepare(letter(2))
        assert transport.transmit(letter(2)) == "kept"


def test_a_server_that_hangs_up_after_the_message_leaves_it_uncertain_and_the_next_unsaid() -> None:
    dots: list[str] = []

    def hanging_up(line: str) -> str:
        if line == "." and not dots:
            dots.append(line)
            return ""
        return pipelining(line)

    one, two = letter(1), letter(2)
    with talking(hanging_up) as (server, transport):
        transport.prepare(one)
        with pytest.raises(DeliveryUncertain):
            transport.transmit(one, following=two)
        transport.prepare(two)
        assert transport.transmit(two) == "kept"
        assert server.connections == 2


def test_a_connection_that_went_stale_is_replaced_once() -> None:
    def tired(line: str) -> str:
        again = server.connections == 1 and line.startswith("MAIL") and "DATA" in server.lines
        return "" if again else pipelining(line)

    with talking(tired) as (server, transport):
        transport.prepare(letter(1))
        transport.transmit(letter(1))
        transport.prepare(letter(2))
        assert transport.transmit(letter(2)) == "kept"
        assert server.connections == 2


def test_a_server_that_never_lets_a_message_in_puts_it_off() -> None:
    def shy(line: str) -> str:
        return "" if line.startswith("MAIL") else pipelining(line)

    with talking(shy) as (_, transport), pytest.raises(DeliveryDeferred, match="has closed"):
        transport.prepare(letter(1))


@pytest.mark.parametrize("given_up", ["prepared", "announced"])
def test_a_message_that_is_abandoned_is_not_sent(given_up: str) -> None:
    with talking(pipelining) as (server, transport):
        transport.prepare(letter(1))
        if given_up == "announced":
            transport.transmit(letter(1), following=letter(2))
        transport.abandon()
        transport.prepare(letter(3))
        assert transport.transmit(letter(3)) == "kept"
        assert server.connections == 2


def test_an_address_that_would_end_itself_is_refused_before_anything_is_said() -> None:
    bad = Envelope("from@a.example", "to@b.example>\r\nRCPT TO:<other@b.example", b"")
    with talking(pipelining) as (server, transport):
        with pytest.raises(DeliveryRefused, match="would end it"):
            transport.prepare(bad)
        assert verbs(server) == []


def test_an_address_outside_ascii_is_refused_where_the_server_takes_none() -> None:
    foreign = Envelope("from@a.example", "jürgen@b.example", b"")
    with talking(pipelining) as (_, transport), pytest.raises(DeliveryRefused, match="SMTPUTF8"):
        transport.prepare(foreign)


def test_an_answer_that_is_none_ends_the_connection() -> None:
    def confused(line: str) -> str:
        return "hello" if line == "DATA" else pipelining(line)

    with talking(confused) as (_, transport), pytest.raises(DeliveryDeferred, match="no SMTP"):
        transport.prepare(letter(1))


@pytest.mark.parametrize("answer", [pipelining, in_turn])
def test_a_server_that_wants_a_log_in_we_do_not_give_lets_nobodys_mail_fail(
    answer: Answer,
) -> None:
    """D24. The next mail is not tried either, and none is lost."""

    def guarded(line: str) -> str:
        return "530 5.7.0 Authentication required" if line.startswith("MAIL") else answer(line)

    with talking(guarded) as (_, transport), pytest.raises(TransportBroken, match="required"):
        transport.prepare(letter(1))


def logging_in(answer: Answer) -> type[Exception]:
    """Return what a log-in comes to."""
    with talking(answer) as (server, _):
        port = server.server_address[1]
        transport = SmtpTransport(SmtpSettings("127.0.0.1", port, "us", "secret", timeout=60))
        with pytest.raises(DeliveryDeferred) as caught:
            transport.prepare(letter(1))
        return caught.type


def test_a_log_in_that_works_again_by_itself_is_told_from_one_that_does_not() -> None:
    """D24."""

    def saying(answer: str) -> Answer:
        def answers(line: str) -> str:
            greeting = line.lower().startswith("ehlo")
            return "250-here\r\n250 AUTH PLAIN" if greeting else answer

        return answers

    assert logging_in(saying("535 5.7.8 no")) is TransportBroken
    assert logging_in(saying("454 4.7.0 try later")) is DeliveryDeferred
    assert logging_in(in_turn) is TransportBroken
