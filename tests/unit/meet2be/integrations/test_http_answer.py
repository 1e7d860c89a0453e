"""Answers of HTTP servers, whole and broken, in whatever pieces they come."""

from collections.abc import Callable
from http.client import BadStatusLine, HTTPException, IncompleteRead, RemoteDisconnected

import pytest

from meet2be.integrations.http_answer import MAX_BODY, MAX_HEAD, read_answer

PLAIN = b'HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nX-Y:  z \r\ncontent-length: 7\r\n\r\n{"a":1}'
CHUNKED = (
    b"HTTP/1.1 402 Payment Required\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'4;x=y\r\n{"a"\r\n3\r\n:1}\r\n0\r\nTrailer: t\r\n\r\n'
)


def in_pieces(data: bytes, size: int = 1 << 16) -> Callable[[], bytes]:
    """Return what hands the bytes out piece by piece, and then nothing."""
    pieces = iter([data[at : at + size] for at in range(0, len(data), size)])
    return lambda: next(pieces, b"")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 1000])
@pytest.mark.parametrize(("data", "status"), [(PLAIN, 200), (CHUNKED, 402)])
def test_an_answer_is_the_same_in_whatever_pieces_it_comes(
    data: bytes, status: int, size: int
) -> None:
    answer = read_answer(in_pieces(data, size))
    assert (answer.status, answer.body, answer.is_last) == (status, b'{"a":1}', False)


def test_names_of_headers_are_in_lower_case_and_values_trimmed() -> None:
    headers = read_answer(in_pieces(PLAIN)).headers
    assert headers == {"content-type": "a/b", "x-y": "z", "content-length": "7"}


def test_an_answer_that_says_another_follows_is_passed_over() -> None:
    assert read_answer(in_pieces(b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN)).status == 200


def test_an_answer_without_a_body() -> None:
    answer = read_answer(in_pieces(b"HTTP/1.1 204 No Content\r\n\r\n"))
    assert (answer.body, answer.is_last) == (b"", False)


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nab", b"ab"),
        (
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nConnection: x\r\nContent-Length: 2\r\n\r\nab",
            b"ab",
        ),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab", b"ab"),
        (b"HTTP/1.1 200 OK\r\n\r\nall the rest", b"all the rest"),
        (PLAIN + b"HTTP/1.1 200 OK", b'{"a":1}'),
    ],
)
def test_nothing_more_is_asked_where_the_next_answer_could_be_anothers(
    data: bytes, body: bytes
) -> None:
    answer = read_answer(in_pieces(data))
    assert (answer.body, answer.is_last) == (body, True)


@pytest.mark.parametrize("length", range(1, len(PLAIN)))
def test_a_part_of_an_answer_is_none(length: int) -> None:
    with pytest.raises(IncompleteRead):
        read_answer(in_pieces(PLAIN[:length]))


@pytest.mark.parametrize("length", range(len(CHUNKED) - 40, len(CHUNKED)))
def test_a_part_of_the_chunks_is_none(length: int) -> None:
    with pytest.raises(IncompleteRead):
        read_answer(in_pieces(CHUNKED[:length]))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", RemoteDisconnected),
        (b"SMTP ready\r\n\r\n", BadStatusLine),
        (b"HTTP/1.1 abc\r\n\r\n", BadStatusLine),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", HTTPException),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n folded: c\r\n\r\n", HTTPException),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", HTTPException),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc", HTTPException),
        (b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n", HTTPException),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", HTTPException),
        (
            CHUNKED.replace(b"Transfer", b"Transfer-Encoding: gzip\r\nTransfer", 1),
            HTTPException,
        ),
        *(
            (CHUNKED.replace(b"4;", size + b";"), HTTPException)
            for size in (b"0x4", b"+4", b"0_4", b" 4", b"", b"000000004")
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", HTTPException),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", HTTPException),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", HTTPException),
        (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1), HTTPException),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * (MAX_BODY + 1), HTTPException),
        (b"HTTP/1.1 200 OK\r\nA: " + b"a" * (MAX_HEAD + 70_000), HTTPException),
    ],
)
def test_what_is_no_answer_is_refused(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_answer(in_pieces(data))
