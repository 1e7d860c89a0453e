"""Answers that say what went wrong, as problem+json (RFC 9457)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from flask import Response, json, request
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.exceptions import HTTPException

from meet2be.language import N_, Message, said

log = logging.getLogger(__name__)

CONTENT_TYPE: Final = "application/problem+json"
ROOT: Final = "/api/"


class FieldProblem(BaseModel):
    """What is wrong at one place of a request."""

    model_config = ConfigDict(extra="forbid")

    where: str = Field(
        description="A JSON pointer into the body, or `query/NAME`, `header/NAME`, `path/NAME`."
    )
    detail: str


class ProblemAnswer(BaseModel):
    """A problem (RFC 9457): programs look at `code`, people read `title` and `detail`."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FieldProblem] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: its status and its title, in English, the API's own language."""

    status: int
    title: str


KINDS: Final[Mapping[str, Kind]] = {
    "bad_request": Kind(400, N_("The request cannot be understood")),
    "bad_cursor": Kind(400, N_("The cursor is not one of this list")),
    "unauthorized": Kind(401, N_("A valid API token is needed")),
    "forbidden": Kind(403, N_("The token may not do this")),
    "tenant_suspended": Kind(403, N_("The organisation is suspended")),
    "not_found": Kind(404, N_("There is nothing here")),
    "method_not_allowed": Kind(405, N_("This is not done with this method")),
    "conflict": Kind(409, N_("This cannot be done as things stand")),
    "key_in_use": Kind(409, N_("A request with this key is being worked on")),
    "too_large": Kind(413, N_("The request is too large")),
    "uri_too_long": Kind(414, N_("The address is too long")),
    "unsupported_media_type": Kind(415, N_("The content type is not one that is read here")),
    "invalid": Kind(422, N_("Something in the request is not valid")),
    "key_reused": Kind(422, N_("The key was used for another request")),
    "too_many_requests": Kind(429, N_("Too many requests")),
    "headers_too_large": Kind(431, N_("Too much was sent along in the headers")),
    "internal": Kind(500, N_("Something broke on our side")),
    "unavailable": Kind(503, N_("A part of the platform is not answering")),
}
_BY_STATUS: Final = {
    400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found",
    405: "method_not_allowed", 409: "conflict", 413: "too_large", 414: "uri_too_long",
    415: "unsupported_media_type", 422: "invalid", 429: "too_many_requests", 503: "unavailable",
}  # fmt: skip
_DETAILS: Final = {
    "unauthorized": N_("Send 'Authorization: Bearer m2b_…' with a token that is not over."),
    "not_found": N_("The address does not exist, or what it names is not your organisation's."),
    "method_not_allowed": N_("The header Allow says which methods this address takes."),
    "too_large": N_("Send less at once."),
    "uri_too_long": N_("Path and query together may have at most 8,000 characters."),
    "unsupported_media_type": N_("The API's description says which content types are read here."),
    "invalid": N_("What is wrong at which place stands in 'errors'."),
    "internal": N_("It has been written down under this request's id. Nothing was half done."),
    "unavailable": N_("Send the request again in a minute. Nothing was lost."),
    "bad_cursor": N_("Begin the list anew, with the same filters for all its pages."),
    "tenant_suspended": N_("Until it is active again it can be read, and nothing be changed."),
}


@dataclass(eq=False)
class Problem(Exception):
    """Ends a request with a problem; ``headers`` go with the answer."""

    code: str
    detail: str | Message = ""
    errors: Sequence[FieldProblem] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)


def is_for_programs() -> bool:
    """Tell whether the present request is for the API, whose errors are no pages."""
    return request.path.startswith(ROOT) or request.path == ROOT.rstrip("/")


def answer_problem(problem: Problem) -> Response:
    """Return the answer that tells a problem."""
    kind = KINDS[problem.code]
    detail = (
        said(problem.detail)
        if problem.detail
        else said(Message(_DETAILS.get(problem.code, kind.title)))
    )
    told = ProblemAnswer(
        type=f"/api/docs#problem-{problem.code.replace('_', '-')}",
        title=said(Message(kind.title)),
        status=kind.status,
        detail=detail,
        code=problem.code,
        request_id=request_id(),
        errors=list(problem.errors),
        **problem.more,
    )
    body = told.model_dump(mode="json", exclude_defaults=not problem.errors)
    response = Response(json.dumps(body) + "\n", kind.status, content_type=CONTENT_TYPE)
    response.headers.extend(dict(problem.headers))
    if kind.status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="Meet2Be API"'
    return response


def problem_of(error: HTTPException) -> Response:
    """Return the answer for what Flask and Werkzeug refuse by themselves."""
    code = _BY_STATUS.get(
        error.code or 500, "bad_request" if (error.code or 500) < 500 else "internal"
    )
    kept = {
        name: value
        for name, value in error.get_headers()
        if name in {"Allow", "Retry-After", "Location"}
    }
    return answer_problem(Problem(code, headers=kept))


def request_id() -> str:
    """Return the name of the present request, given to it when it came in."""
    name: str = request.environ.get("meet2be.request_id", "")
    return name
