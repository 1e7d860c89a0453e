"""Calls of a provider over a real connection: what is kept of it, and what is refused."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from meet2be.integrations.http_deadline import MAX_BODY, CallFailed, DeadlineHttp, Timeouts
from support.receivers import Answering, drip, receiving, status


@pytest.fixture
def http() -> Iterator[DeadlineHttp]:
    with closing(DeadlineHttp(Timeouts(connect=30, total=60))) as http:
        yield http


def test_an_answer_has_its_status_headers_and_body(http: DeadlineHttp) -> None:
    with receiving(status(402, "X-Id: 7", body=b"no")) as receiver:
        code, headers, body = http.call("POST", receiver.url(), {}, b"amount=1")
    assert (code, headers["x-id"], body) == (402, "7", b"no")


@pytest.mark.parametrize(
    ("answering", "why"),
    [
        (status(200, body=b"x" * (MAX_BODY + 1)), "more than 4194304 bytes"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx", "encoded as 'gzip'"),
        (status(200, "Transfer-Encoding: chunked", body=b"x"), "can't be present with"),
        (drip(b"", first=b"HTTP/1.1 2000 OK\r\n"), "no HTTP: Invalid response status"),
    ],
)
def test_an_answer_that_cannot_be_used_may_have_done_something(
    http: DeadlineHttp, answering: Answering, why: str
) -> None:
    with receiving(answering) as receiver, pytest.raises(CallFailed, match=why) as caught:
        http.call("POST", receiver.url(), {}, b"amount=1")
    assert (caught.value.code, caught.value.sent) == ("reset", True)
