"""Answers of HTTP servers, whole and broken, in whatever pieces they come."""

from collections.abc import Callable
from http.client import HTTPException, IncompleteRead, RemoteDisconnected

import pytest

from meet2be.integrations.http_answer import MOST_WITHOUT_BODY, Answer, read_answer

PLAIN = b'HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nX-Y:  z \r\ncontent-length: 7\r\n\r\n{"a":1}'
CHUNKED = (
    b"HTTP/1.1 402 Payment Required\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'4;x=y\r\n{"a"\r\n3\r\n:1}\r\n0\r\nTrailer: t\r\n\r\n'
)
OK = b"HTTP/1.1 200 OK\r\n"
OK_CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
MOST = 4096


def in_pieces(data: bytes, size: int = 1 << 16) -> Callable[[], bytes]:
    """Return what hands the bytes out piece by piece, and then nothing."""
    pieces = iter([data[at : at + size] for at in range(0, len(data), size)])
    return lambda: next(pieces, b"")


def read(data: bytes, size: int = 1 << 16, most: int = MOST) -> Answer:
    return read_answer(in_pieces(data, size), most)


def read_forgivingly(data: bytes, size: int = 1 << 16, most: int = 10) -> Answer:
    return read_answer(in_pieces(data, size), most, is_forgiving=True)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 1000])
@pytest.mark.parametrize(("data", "status"), [(PLAIN, 200), (CHUNKED, 402)])
def test_an_answer_is_the_same_in_whatever_pieces_it_comes(
    data: bytes, status: int, size: int
) -> None:
    answer = read(data, size)
    assert (answer.status, answer.body, answer.is_last) == (status, b'{"a":1}', False)


def test_names_of_headers_are_in_lower_case_and_values_trimmed() -> None:
    assert read(PLAIN).headers == {"content-type": "a/b", "x-y": "z", "content-length": "7"}


def test_trailers_are_no_headers() -> None:
    assert read(CHUNKED).headers == {"transfer-encoding": "chunked"}


@pytest.mark.parametrize("size", [1, 1000])
def test_an_answer_that_says_another_follows_is_passed_over(size: int) -> None:
    answer = read(b"HTTP/1.1 103 Hints\r\nLink: a\r\n\r\n" * 8 + PLAIN, size)
    assert (answer.status, "link" in answer.headers) == (200, False)


def test_an_answer_without_a_body() -> None:
    answer = read(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert (answer.body, answer.is_last) == (b"", False)


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (OK + b"Connection: Close\r\nContent-Length: 2\r\n\r\nab", b"ab"),
        (OK + b"Connection: close\r\nConnection: x\r\nContent-Length: 2\r\n\r\nab", b"ab"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab", b"ab"),
        (OK + b"\r\nall the rest", b"all the rest"),
        (PLAIN + OK, b'{"a":1}'),
        (PLAIN + b"no answer", b'{"a":1}'),
        (b"HTTP/1.1 101 Now\r\n\r\nbytes", b""),
        (b"HTTP/1.1 101 Now\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nbytes", b""),
        (b"HTTP/1.1 101 Now\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", b""),
        (OK + b"Content-Length: 5000\r\n\r\n" + b"a" * 5000, b"a" * MOST),
    ],
)
def test_nothing_more_is_asked_where_the_next_answer_could_be_anothers(
    data: bytes, body: bytes
) -> None:
    answer = read(data)
    assert (answer.body, answer.is_last) == (body, True)


@pytest.mark.parametrize("length", range(1, len(PLAIN)))
def test_a_part_of_an_answer_is_none(length: int) -> None:
    with pytest.raises(IncompleteRead):
        read(PLAIN[:length])


@pytest.mark.parametrize("length", range(len(CHUNKED) - 40, len(CHUNKED)))
def test_a_part_of_the_chunks_is_none(length: int) -> None:
    """W7."""
    with pytest.raises(IncompleteRead):
        read(CHUNKED[:length])


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", RemoteDisconnected),
        *(
            (data, HTTPException)
            for data in (
                b"SMTP ready\r\n\r\n",
                b"HTTP/1.1 abc\r\n\r\n",
                b"HTTP/1.1 2000 OK\r\n\r\n",
                b"HTTP/1.1 102 Wait\r\n\r\n" * 9,
                OK + b"no colon\r\n\r\n",
                OK + b"A: b\r\n folded: c\r\n\r\n",
                OK + b"Content-Length: -1\r\n\r\n",
                OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
                OK + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n",
                OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                *(
                    CHUNKED.replace(b"4;", size + b";")
                    for size in (b"0x4", b"+4", b"0_4", b" 4", b"", b"-1", b"1" * 17)
                ),
                OK_CHUNKED + b"xyz\r\n",
                OK_CHUNKED + b"1\r\nabc\r\n",
                OK + b"A: " + b"a" * (MOST_WITHOUT_BODY + 70_000),
                OK_CHUNKED + b"0\r\n" + b"A: a\r\n" * MOST_WITHOUT_BODY,
            )
        ),
    ],
)
def test_what_is_no_answer_is_refused_without_waiting_for_its_end(
    data: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        read(data)
    assert not isinstance(caught.value, IncompleteRead)


@pytest.mark.parametrize("piece", [1, 7, 1000])
@pytest.mark.parametrize(
    ("data", "status", "body", "is_cut"),
    [
        (OK + b"Content-Length: 2\r\n\r\nokay", 200, b"ok", False),
        (OK + b"content-length: 12\r\n\r\n" + b"x" * 12, 200, b"x" * 10, True),
        (OK + b"content-length: " + b"9" * 15 + b"\r\n\r\n" + b"x" * 12, 200, b"x" * 10, True),
        (OK + b"\r\nto the end", 200, b"to the end", False),
        (OK + b"\r\nto the end.", 200, b"to the end", True),
        (b"HTTP/1.0 404\nServer: own\n\nno", 404, b"no", False),
        (b"HTTP/1.1 204\r\nContent-Length: 5\r\n\r\n", 204, b"", False),
        (b"HTTP/1.1 101 Now\r\n\r\nbytes", 101, b"", False),
        (b"HTTP/1.1 100 On\r\n\r\n" * 8 + OK + b"\r\n", 200, b"", False),
        (OK_CHUNKED + b"2;a=b\r\nab\r\n1\r\nc\r\n0\r\nX: y\r\n\r\n", 200, b"abc", False),
        (OK_CHUNKED + b"8\r\n12345678\r\n4\r\n9abc\r\n0\r\n\r\n", 200, b"123456789a", True),
        (OK_CHUNKED + b"ffffffffff\r\n123456789abc", 200, b"123456789a", True),
    ],
)
def test_answers_of_strangers_are_read_as_far_as_they_are_kept(
    data: bytes, status: int, body: bytes, is_cut: bool, piece: int
) -> None:
    """W8."""
    found = read_forgivingly(data, piece)
    assert (found.status, found.body, found.is_cut) == (status, body, is_cut)


def test_headers_of_strangers_are_taken_as_they_were_meant() -> None:
    data = OK + b"A: 1\r\nb:2\r\nRETRY-after: 7 \r\nFold: x\r\n  y\r\na: 3\r\n\r\n"
    headers = read_forgivingly(data).headers
    assert headers == {"a": "1, 3", "b": "2", "retry-after": "7", "fold": "x  y"}
