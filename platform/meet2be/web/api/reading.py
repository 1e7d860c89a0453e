"""What a request brings: query, JSON and files, checked against the operation's models."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final, TypeVar, cast

from flask import request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

from meet2be.imports.limits import LARGEST_UPLOAD
from meet2be.language import N_, Message, said
from meet2be.web.api.files import UploadedFile
from meet2be.web.api.operations import Operation
from meet2be.web.api.problems import FieldProblem, Problem
from meet2be.web.api.wording import broken_json, told

M = TypeVar("M", bound=BaseModel)
LARGEST_BODY: Final = 256 * 1024
_PIECE: Final = 1 << 16
_IN_MEMORY: Final = 1 << 20


def read_query(model: type[M]) -> M:
    """Return the query; raises ``Problem`` 422 for what is wrong in it."""
    given: dict[str, Any] = {}
    problems = []
    for name, values in request.args.lists():
        if len(values) > 1:
            problems.append(_of_query(name, N_("This is given twice. Give it once.")))
        if "\0" in values[0]:
            problems.append(_of_query(name, N_("This holds U+0000. Take it out.")))
        given[name] = values[0]
    if problems:
        raise Problem("invalid", errors=problems)
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise Problem("invalid", errors=_told(error, "query/")) from error


def _of_query(name: str, sentence: str) -> FieldProblem:
    return FieldProblem(where=f"query/{name[:60]}", detail=said(Message(sentence)))


def read_body(model: type[M]) -> tuple[M, str]:
    """Return the body and its hash; raises ``Problem`` 400, 413, 415 or 422."""
    with _at_most(LARGEST_BODY):
        raw = request.get_data()
    digest = hashlib.sha256(raw).hexdigest()
    if not raw and not any(field.is_required() for field in model.model_fields.values()):
        return model(), digest
    if request.mimetype != "application/json":
        raise _not_read("application/json")
    try:
        return model.model_validate_json(raw), digest
    except ValidationError as error:
        if (why := broken_json(error)) is not None:
            raise Problem("bad_request", why) from error
        raise Problem("invalid", errors=_told(error, "/")) from error


def read_file(operation: Operation) -> tuple[UploadedFile, str]:
    """Return the body as a file and its hash; raises ``Problem`` 413 or 415."""
    if request.mimetype not in operation.file_types:
        raise _not_read(*operation.file_types)
    kept = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by its reader
    digest, size = hashlib.sha256(), 0
    with _at_most(LARGEST_UPLOAD):
        while piece := request.stream.read(_PIECE):
            kept.write(piece)
            digest.update(piece)
            size += len(piece)
    kept.seek(0)
    return UploadedFile(cast("BinaryIO", kept), size), digest.hexdigest()


def _told(error: ValidationError, root: str) -> list[FieldProblem]:
    return [FieldProblem(where=root + place, detail=detail) for place, detail in told(error)]


def _not_read(*known: str) -> Problem:
    """Return the refusal of a content type."""
    if not request.mimetype:
        return Problem("unsupported_media_type")
    given = {"given": request.mimetype[:80], "known": ", ".join(known)}
    sentence = Message(N_("The content type '%(given)s' is not read here. Send %(known)s."), given)
    return Problem("unsupported_media_type", sentence)


@contextmanager
def _at_most(size: int) -> Iterator[None]:
    """Let the body be that large; raises ``Problem`` 413 for more."""
    request.max_content_length = size
    try:
        yield
    except RequestEntityTooLarge as error:
        most = Message(N_("The body may have at most %(most)s bytes. Send less."), {"most": size})
        raise Problem("too_large", most) from error
