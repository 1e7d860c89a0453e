"""Pages for what went wrong: what happened and what to do, and never a trace."""

from __future__ import annotations

import logging

from flask import Flask, Response, current_app, g, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from werkzeug.exceptions import HTTPException, SecurityError

from meet2be.db.errors import DatabaseError, is_away
from meet2be.language import N_, Message, _
from meet2be.web.api.problems import Problem, answer_problem, is_for_programs, problem_of
from meet2be.web.lost import page_of_what_was_typed
from meet2be.web.security import PUBLIC
from onqueue.errors import BrokerUnavailable

log = logging.getLogger(__name__)

WORDS = {
    400: (N_("This request cannot be understood"), N_("Go back, reload the page and try again.")),
    401: (N_("You are not logged in"), N_("Log in and try again.")),
    403: (
        N_("You may not do this"),
        N_("Your role in this organisation does not allow it. Ask an administrator."),
    ),
    404: (
        N_("There is nothing here"),
        N_("The page does not exist, or it belongs to another organisation."),
    ),
    405: (N_("This is not how this page is used"), N_("Use the buttons and links of the pages.")),
    409: (N_("Somebody else was faster"), N_("Reload the page to see what has changed.")),
    413: (N_("This is too large"), N_("Send less at once.")),
    429: (N_("Too many requests"), N_("Wait a little and try again.")),
    500: (
        N_("Something broke on our side"),
        N_("It has been written down. Nothing you entered was half done; try again."),
    ),
    503: (
        N_("A part of the platform is not answering"),
        N_("Try again in a minute. Nothing was lost."),
    ),
}


def install(app: Flask) -> None:
    """Register the pages."""
    app.register_error_handler(CSRFError, _form_too_old)
    app.register_error_handler(SecurityError, _foreign_host)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(BrokerUnavailable, _part_is_away)
    app.register_error_handler(DBAPIError, _database_error)
    app.register_error_handler(PoolExhausted, _part_is_away)
    app.register_error_handler(DatabaseError, _unexpected)
    app.register_error_handler(Exception, _unexpected)


def _form_too_old(_error: CSRFError) -> ResponseReturnValue:
    view = current_app.view_functions.get(request.endpoint or "")
    is_open = getattr(view, "permission", PUBLIC) == PUBLIC
    needs_login = g.get("identity") is None and not is_open
    page = page_of_what_was_typed(needs_login=needs_login)
    if page is not None:
        return page
    advice = N_("Go back, reload the page and send it again.")
    return _page(400, N_("This form is too old"), advice)


def _foreign_host(_error: SecurityError) -> ResponseReturnValue:
    if is_for_programs():
        return answer_problem(Problem("bad_request", Message(N_("This host name is not ours."))))
    # The page cannot be drawn: its links would be made for the host that was refused.
    return Response("This address is not ours.\n", 400, mimetype="text/plain")


def _http_error(error: HTTPException) -> ResponseReturnValue:
    if error.code is None or error.code < 400:
        return error
    if is_for_programs():
        return problem_of(error)
    return _page(error.code)


def _database_error(error: DBAPIError) -> ResponseReturnValue:
    return _part_is_away(error) if is_away(error) else _unexpected(error)


def _part_is_away(error: Exception) -> ResponseReturnValue:
    log.warning("a part is away at %s %s: %s", request.method, request.path, error)
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
        "error.html", code=code, title=_(title or known[0]), advice=_(advice or known[1])
    )
    return page, code
