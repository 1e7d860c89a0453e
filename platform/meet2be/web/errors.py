"""Pages for what went wrong: what happened and what to do, and never a trace."""

from __future__ import annotations

import logging

from flask import Flask, Response, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, SecurityError

from meet2be.db.errors import DatabaseError
from meet2be.web.api.problems import Problem, answer_problem, is_for_programs, problem_of
from onqueue.errors import BrokerUnavailable

log = logging.getLogger(__name__)

WORDS = {
    400: ("This request cannot be understood", "Go back, reload the page and try again."),
    401: ("You are not logged in", "Log in and try again."),
    403: (
        "This is not yours to do",
        "Your role in this organisation does not allow it. Ask an administrator.",
    ),
    404: (
        "There is nothing here",
        "The page does not exist, or it belongs to another organisation.",
    ),
    405: ("This is not how this page is used", "Use the buttons and links of the pages."),
    409: ("Somebody was faster", "Reload the page to see what has changed."),
    413: ("This is too large", "Send less at once."),
    429: ("Too many requests", "Wait a little and try again."),
    500: (
        "Something broke on our side",
        "It has been written down. Nothing you entered was half done; try again.",
    ),
    503: ("A part of the platform is not answering", "Try again in a minute. Nothing was lost."),
}


def install(app: Flask) -> None:
    """Register the pages."""
    app.register_error_handler(CSRFError, _form_too_old)
    app.register_error_handler(SecurityError, _foreign_host)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(BrokerUnavailable, _part_is_away)
    app.register_error_handler(DatabaseError, _unexpected)
    app.register_error_handler(Exception, _unexpected)


def _form_too_old(_error: CSRFError) -> ResponseReturnValue:
    return _page(400, "This form is too old", "Go back, reload the page and send it again.")


def _foreign_host(_error: SecurityError) -> ResponseReturnValue:
    # The page cannot be drawn: its links would be made for the host that was refused.
    return Response("This address is not ours.\n", 400, mimetype="text/plain")


def _http_error(error: HTTPException) -> ResponseReturnValue:
    if error.code is None or error.code < 400:
        return error
    if is_for_programs():
        return problem_of(error)
    return _page(error.code)


def _part_is_away(error: BrokerUnavailable) -> ResponseReturnValue:
    log.warning("broker away: %s", error)
    if is_for_programs():
        return answer_problem(Problem("unavailable"))
    return _page(503)


def _unexpected(error: Exception) -> ResponseReturnValue:
    log.error("unexpected error at %s %s", request.method, request.path, exc_info=error)
    if is_for_programs():
        return answer_problem(Problem("internal"))
    return _page(500)


def _page(code: int, title: str = "", advice: str = "") -> ResponseReturnValue:
    known = WORDS.get(code, WORDS[500 if code >= 500 else 400])
    page = render_template(
        "error.html", code=code, title=title or known[0], advice=advice or known[1]
    )
    return page, code
