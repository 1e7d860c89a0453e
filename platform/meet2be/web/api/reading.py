"""What a request brings: query, JSON and files, checked against the operation's models."""

from __future__ import annotations

import hashlib
import tempfile
from typing import Any, BinaryIO, Final, TypeVar, cast

from flask import request
from pydantic import BaseModel, ValidationError

from meet2be.imports.limits import LARGEST_UPLOAD
from meet2be.language import N_, Message
from meet2be.web.api.files import UploadedFile
from meet2be.web.api.operations import Operation
from meet2be.web.api.problems import FieldProblem, Problem

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
            problems.append(FieldProblem(where=f"query/{name[:60]}", detail="given twice"))
        if "\0" in values[0]:
            problems.append(FieldProblem(where=f"query/{name[:60]}", detail="holds U+0000"))
        given[name] = values[0]
    if problems:
        raise Problem("invalid", errors=problems)
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise Problem("invalid", errors=_told(error, "query/")) from error


def read_body(model: type[M]) -> tuple[M, str]:
    """Return the body and its hash; raises ``Problem`` 400, 413, 415 or 422."""
    request.max_content_length = LARGEST_BODY
    raw = request.get_data()
    digest = hashlib.sha256(raw).hexdigest()
    if not raw and not any(field.is_required() for field in model.model_fields.values()):
        return model(), digest
    if request.mimetype != "application/json":
        raise Problem("unsupported_media_type")
    try:
        return model.model_validate_json(raw), digest
    except ValidationError as error:
        if any(each["type"] == "json_invalid" for each in error.errors(include_input=False)):
            raise Problem("bad_request", Message(N_("The body is no JSON."))) from error
        raise Problem("invalid", errors=_told(error, "/")) from error


def read_file(operation: Operation) -> tuple[UploadedFile, str]:
    """Return the body as a file and its hash; raises ``Problem`` 413 or 415."""
    if request.mimetype not in operation.file_types:
        raise Problem("unsupported_media_type")
    request.max_content_length = LARGEST_UPLOAD
    kept = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by its reader
    digest, size = hashlib.sha256(), 0
    while piece := request.stream.read(_PIECE):
        kept.write(piece)
        digest.update(piece)
        size += len(piece)
    kept.seek(0)
    return UploadedFile(cast("BinaryIO", kept), size), digest.hexdigest()


def _told(error: ValidationError, root: str) -> list[FieldProblem]:
    return [
        FieldProblem(
            where=root + "/".join(str(part)[:60] for part in each["loc"]), detail=each["msg"][:200]
        )
        for each in error.errors(include_url=False, include_input=False, include_context=False)[:50]
    ]
