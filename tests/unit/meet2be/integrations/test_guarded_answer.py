from http.client import HTTPException, IncompleteRead

import pytest

from meet2be.integrations.guarded_answer import AnswerReader


def read(data: bytes, piece: int = 1, most: int = 10) -> tuple[int, dict[str, str], bytes, bool]:
    pieces = iter([data[at : at + piece] for at in range(0, len(data), piece)])
    reader = AnswerReader(lambda: next(pieces, b""), most)
    body, is_cut = reader.read()
    return reader.status, reader.headers, body, is_cut


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


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
        (CHUNKED + b"2;a=b\r\nab\r\n1\r\nc\r\n0\r\nX: y\r\n\r\n", 200, b"abc", False),
        (CHUNKED + b"8\r\n12345678\r\n4\r\n9abc\r\n0\r\n\r\n", 200, b"123456789a", True),
        (CHUNKED + b"ffffffffff\r\n123456789abc", 200, b"123456789a", True),
    ],
)
def test_answers_are_read_as_far_as_they_are_kept(
    data: bytes, status: int, body: bytes, is_cut: bool, piece: int
) -> None:
    """W8."""
    found = read(data, piece)
    assert (found[0], found[2], found[3]) == (status, body, is_cut)


def test_headers_are_taken_as_they_were_meant() -> None:
    data = OK + b"A: 1\r\nb:2\r\nRETRY-after: 7 \r\nFold: x\r\n  y\r\njunk\r\n z\r\na: 3\r\n\r\n"
    assert read(data)[1] == {"a": "1, 3", "b": "2", "retry-after": "7", "fold": "x y"}


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        OK + b"X: " + b"y" * 70_000,
        b"HTTP/1.1 102 Wait\r\n\r\n" * 9,
        CHUNKED + b"z\r\n",
        CHUNKED + b"1" * 70_000,
    ],
)
def test_what_is_no_answer_is_refused_without_waiting_for_its_end(data: bytes) -> None:
    with pytest.raises(HTTPException) as caught:
        read(data, 4096)
    assert not isinstance(caught.value, IncompleteRead)


@pytest.mark.parametrize(
    "data",
    [b"", b"HTTP/1", OK, OK + b"Content-Length: 3\r\n\r\nno", CHUNKED + b"3\r\nno", CHUNKED],
)
def test_an_answer_that_ends_too_early_is_told_apart(data: bytes) -> None:
    """W7."""
    with pytest.raises((IncompleteRead, ConnectionError)):
        read(data)
