"""From a request to its answer: token, checks, the operation, one commit, and the answer kept."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable
from typing import Any, Final, cast
from urllib.parse import quote

from flask import Response, current_app, g, request
from pydantic import BaseModel

from meet2be.api_tokens import remembering
from meet2be.api_tokens.models import LONGEST_KEY
from meet2be.api_tokens.remembering import Answer, Asked, Claim
from meet2be.language import N_, Message, said
from meet2be.objects.base import UID_PATTERN
from meet2be.web.api.authentication import authenticate
from meet2be.web.api.calls import Call
from meet2be.web.api.files import Download
from meet2be.web.api.operations import Operation
from meet2be.web.api.problems import FieldProblem, Problem, answer_problem
from meet2be.web.api.reading import read_body, read_file, read_query
from meet2be.web.api.refusals import problem_from
from meet2be.webhooks.errors import SealedWithLostKeyError
from meet2be.webhooks.headers import DEPTH_HEADER
from meet2be.webhooks.publishing import caused_by_webhook

log = logging.getLogger(__name__)

KEY: Final = "Idempotency-Key"
_UID: Final = re.compile(UID_PATTERN)


def view_of(operation: Operation) -> Callable[..., Response]:
    """Return the view that serves an operation."""

    def view(**path: str) -> Response:
        try:
            response = _served(operation, path)
        except Exception as error:
            problem = problem_from(error)
            if problem is None:
                raise
            response = answer_problem(problem)
        finally:
            if "uploaded" in g:
                g.pop("uploaded").close()
        return response

    view.__name__ = operation.name
    view.__doc__ = operation.summary
    view.permission = "token"  # type: ignore[attr-defined]
    return view


def _webhooks_before(call: Call) -> int:
    """Return how many webhooks this request answers, one upon the other, by our own word."""
    text, depths = request.headers.get(DEPTH_HEADER, ""), call.services.webhooks.depths
    return depths.read(text, call.caller.tenant_id, call.now) if text else 0


def _served(operation: Operation, path: dict[str, str]) -> Response:
    call = Call(operation, authenticate(operation), path)
    with caused_by_webhook(_webhooks_before(call)):
        return _answered(call, operation, path)


def _answered(call: Call, operation: Operation, path: dict[str, str]) -> Response:
    if any(not _UID.fullmatch(value) for name, value in path.items() if name.endswith("uid")):
        raise Problem("not_found")  # what cannot be a name is like a name that nobody has
    arguments: dict[str, Any] = dict(path)
    if operation.query is not None:
        arguments["query"] = read_query(operation.query)
    digest = ""
    if operation.body is not None:
        arguments["body"], digest = read_body(operation.body)
    if operation.takes_file:
        arguments["file"], digest = read_file(operation)
        g.uploaded = arguments["file"].stream
    if operation.method != "POST" or KEY not in request.headers:
        return _worked(call, arguments, None)
    return _once(call, arguments, digest)


def _once(call: Call, arguments: dict[str, Any], digest: str) -> Response:
    """Do what a key asks for the first time, and answer the same to each repeat."""
    asked = Asked(call.caller.token_id, _key(), request.method, request.path, _whole(digest))
    database, tenant = call.services.database, call.caller.tenant_id
    with database.tenant_session(tenant) as session:
        claimed = remembering.claim(session, asked, call.now)
    if isinstance(claimed, Answer):
        return _again(call, claimed)
    try:
        return _worked(call, arguments, claimed)
    except Exception:
        if call.has_written:
            call.writing.rollback()
        with database.tenant_session(tenant) as session:
            remembering.release(session, claimed)
        raise


def _worked(call: Call, arguments: dict[str, Any], claim: Claim | None) -> Response:
    result = call.operation.handler(call, **arguments)
    if isinstance(result, Download):
        if call.has_written:
            call.writing.commit()
        return _file(result)
    text = result.model_dump_json() if isinstance(result, BaseModel) else ""
    if claim is not None:
        sealed = call.services.webhooks.vault.close(text, _place(claim.row_id))
        remembering.answer(call.writing, claim, call.operation.status, sealed)
    if call.has_written:
        call.writing.commit()
    return _json(text, call.operation.status, conditional=call.operation.is_safe)


def _again(call: Call, kept: Answer) -> Response:
    """Return the answer that was given before; its secrets were kept under the app's key."""
    try:
        text = call.services.webhooks.vault.open(kept.response, _place(kept.row_id))
    except SealedWithLostKeyError as error:
        raise Problem(
            "key_in_use", Message(N_("This was done, but its answer is not there any more."))
        ) from error
    response = _json(text, kept.status_code, conditional=False)
    response.headers["Idempotency-Replayed"] = "true"
    return response


def _json(text: str, status: int, *, conditional: bool) -> Response:
    if status == 204:
        return Response(status=204)
    response = Response(text + "\n", status, content_type="application/json")
    if conditional:
        response.add_etag()
        response.make_conditional(request)
    return response


def _file(given: Download) -> Response:
    response = Response(cast("Any", given.chunks), content_type=given.content_type)
    if given.location is not None:
        response.status_code, response.location = 303, given.location
    if given.size is not None:
        response.content_length = given.size
    if given.filename:
        disposition = f"attachment; filename*=UTF-8''{quote(given.filename)}"
        response.headers["Content-Disposition"] = disposition
    response.headers.extend(given.headers)
    return response


def _key() -> str:
    key = request.headers[KEY].strip()
    if not key or len(key) > LONGEST_KEY or not key.isascii() or not key.isprintable():
        why = Message(N_("Give 1 to %(most)s visible ASCII characters."), {"most": LONGEST_KEY})
        raise Problem("invalid", errors=[FieldProblem(where=f"header/{KEY}", detail=said(why))])
    return key


def _whole(digest: str) -> str:
    """Return a hash of the body and of what stands behind the question mark."""
    query = json.dumps(sorted(request.args.items(multi=True)))
    return hashlib.sha256(f"{digest}{query}".encode()).hexdigest()


def _place(row_id: int) -> str:
    return f"api-answer:{row_id}"


def add_rate_headers(response: Response) -> Response:
    """Put how the token stands into an answer of the API, and the request's name."""
    for name, value in g.get("rate_headers", {}).items():
        response.headers[name] = value
    response.headers["X-Request-Id"] = request.environ["meet2be.request_id"]
    current_app.logger.debug("%s %s %s", request.method, request.path, response.status_code)
    return response
