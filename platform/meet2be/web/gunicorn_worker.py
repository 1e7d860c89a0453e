"""gunicorn's worker, whose own refusals look and read like ours.

What is too long, or no HTTP, is refused before any program of ours sees it, so nobody knows who
asks and in which language: the words are English. Of the request only the first bytes are known;
they tell whether a program asks for the API.
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from gunicorn.http.errors import (
    ExpectationFailed,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import ThreadWorker

from meet2be.db.columns import new_uid
from meet2be.web.api.problems import CONTENT_TYPE, KINDS, ProblemAnswer
from meet2be.web.security import HEADERS

REMEMBERED: Final = 32
"""Bytes of a request that are kept until it is read: the method and the beginning of the path."""
_FOR_PROGRAMS: Final = re.compile(rb"\s*[A-Z]+ /api(?:[/?\s]|$)")
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>{title} · Meet2Be</title>
  <link rel="icon" href="/static/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="/static/meet2be.css">
</head>
<body>
<main id="main" class="login">
  <div class="card"><div class="empty">
    <span class="brand">Meet2Be</span>
    <span class="badge warn">{status}</span>
    <h1>{title}</h1>
    <p>{detail}</p>
    <p>{advice}</p>
    <a class="button" href="/">To your events</a>
  </div></div>
</main>
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is answered: to people a page, to programs the problem of the code."""

    status: HTTPStatus
    code: str
    detail: str
    advice: str


class FirstBytes(Request):  # type: ignore[misc]  # gunicorn ships no types
    """A request that lets the error that ends its reading say how it began."""

    head = b""

    def read_into(self, unreader: Any, buf: bytearray, stop: bool = False) -> None:  # noqa: FBT001, FBT002 - gunicorn's
        """Read on, and keep the beginning."""
        known = len(buf)
        super().read_into(unreader, buf, stop)
        if len(self.head) < REMEMBERED:
            self.head += bytes(buf[known : known + REMEMBERED])

    def parse(self, unreader: Any) -> Any:
        """Read the head; what is wrong with it is raised with the first bytes as its ``head``."""
        try:
            return super().parse(unreader)
        except ParseException as error:
            error.head = self.head
            raise


class FirstBytesParser(RequestParser):  # type: ignore[misc]
    """Makes such requests of a connection's bytes."""

    mesg_class = FirstBytes


class WebWorker(ThreadWorker):  # type: ignore[misc]
    """Answers by threads, as ``gthread`` does, and what cannot be read in our own words."""

    def handle(self, conn: Any) -> Any:
        """Serve a connection's next request."""
        # Behind TLS of its own gunicorn has to choose the parser itself; ours ends at the proxy.
        if conn.parser is None and not self.cfg.is_ssl:
            conn.parser = FirstBytesParser(conn.cfg, conn.sock, conn.client)
        return super().handle(conn)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what could not be read; whatever else went wrong is gunicorn's business."""
        if req is not None or not isinstance(exc, ParseException):
            super().handle_error(req, client, addr, exc)
            return
        refusal = self.refusal_of(exc)
        number = new_uid()
        # The error's own words quote the request, which may hold somebody's token.
        kind = type(exc).__name__
        self.log.warning("request %s could not be read: %d, %s", number, refusal.status, kind)
        is_program = _FOR_PROGRAMS.match(getattr(exc, "head", b"")) is not None
        try:
            client.sendall(answer_to(refusal, number, is_program=is_program))
        except OSError:
            self.log.debug("request %s was not there any more for its answer", number)

    def refusal_of(self, error: BaseException) -> Refusal:
        """Return what is said of an error in a request's head."""
        if isinstance(error, LimitRequestLine):
            return Refusal(
                HTTPStatus.REQUEST_URI_TOO_LONG,
                "uri_too_long",
                "The first line of a request, with method, path and query, may have "
                f"{self.cfg.limit_request_line:,} bytes.",
                "Shorten the address: take fewer filters, or send what is long in the body.",
            )
        if isinstance(error, LimitRequestHeaders):
            return Refusal(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers_too_large",
                f"The head of a request may have {self.cfg.limit_request_fields:,} lines of "
                f"{self.cfg.limit_request_field_size:,} bytes each.",
                "Mostly it is cookies: delete those of this site, and load the page again.",
            )
        status = HTTPStatus.BAD_REQUEST
        if isinstance(error, ExpectationFailed):
            status = HTTPStatus.EXPECTATION_FAILED
        elif isinstance(error, UnsupportedTransferCoding):
            status = HTTPStatus.NOT_IMPLEMENTED
        return Refusal(
            status,
            "bad_request",
            "Its first line, or one of its headers, is not as HTTP has it.",
            "Load the page again. A program that sends such requests has to be mended.",
        )


def answer_to(refusal: Refusal, number: str, *, is_program: bool) -> bytes:
    """Return the whole answer, as it goes over the line."""
    title = KINDS[refusal.code].title
    if is_program:
        kind = CONTENT_TYPE
        told = ProblemAnswer(
            type=f"/api/docs#problem-{refusal.code.replace('_', '-')}",
            title=title,
            status=refusal.status,
            detail=f"{refusal.detail} {refusal.advice}",
            code=refusal.code,
            request_id=number,
        )
        text = json.dumps(told.model_dump(mode="json", exclude_defaults=True)) + "\n"
    else:
        kind = "text/html; charset=utf-8"
        words = {"title": title, "detail": refusal.detail, "advice": refusal.advice}
        safe = {name: html.escape(word) for name, word in words.items()}
        text = _PAGE.format(status=refusal.status.value, **safe)
    body = text.encode()
    head = {
        "Content-Type": kind,
        "Content-Length": str(len(body)),
        "Connection": "close",
        "Cache-Control": "no-store",
        "X-Request-Id": number,
        **HEADERS,
    }
    lines = [f"HTTP/1.1 {refusal.status.value} {refusal.status.phrase}"]
    lines += [f"{name}: {value}" for name, value in head.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
