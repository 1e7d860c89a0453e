"""The API described by its own operations, as OpenAPI 3.1."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

from pydantic.json_schema import JsonSchemaMode, models_json_schema

from meet2be.api_tokens.models import LONGEST_KEY
from meet2be.objects.base import UID_SCHEMA
from meet2be.web.api.operations import OPERATIONS, Operation
from meet2be.web.api.problems import CONTENT_TYPE, KINDS, ProblemAnswer

TITLE: Final = "Meet2Be API"
VERSION: Final = "1"
SERVER: Final = "/api/v1"
PLACES: Final = "#/components/schemas/{model}"
ALWAYS: Final = ("unauthorized", "forbidden", "too_many_requests", "internal", "unavailable")
AREAS: Final[Mapping[str, str]] = {
    "account": "The token itself",
    "events": "Events and their tickets",
    "attendees": "Attendees",
    "cancellations": "Cancellations",
    "refunds": "Refunds",
    "mails": "Mails",
    "notifications": "Notifications",
    "exports": "Exports",
    "export_plans": "Kept selections and regular exports",
    "imports": "Imports",
    "webhooks": "Webhooks",
    "orders": "Orders",
    "figures": "Figures of an event",
    "members": "Members and invitations",
    "settings": "Settings of the organisation",
}
_NAME: Final = re.compile(r"Page_(\w+?)_(?![a-z])")
RATE_HEADERS: Final = {
    "RateLimit-Limit": "How many requests the token may make in a window.",
    "RateLimit-Remaining": "How many of them are left.",
    "RateLimit-Reset": "Seconds until all are free again.",
}


@cache
def document() -> dict[str, Any]:
    """Return the whole description; made once."""
    schemas, definitions = _schemas()
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(
            operation, schemas
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": TITLE,
            "version": VERSION,
            "description": (
                "What organisers do on the pages, for programs. Every request shows a token"
                " (`Authorization: Bearer m2b_…`). Amounts are whole minor units (cents), moments"
                " are UTC. Problems are `application/problem+json` (RFC 9457)."
            ),
        },
        "servers": [{"url": SERVER}],
        "security": [{"token": []}],
        "tags": [
            {"name": group, "description": AREAS[group]}
            for group in AREAS
            if any(operation.group == group for operation in OPERATIONS)
        ],
        "paths": paths,
        "components": {
            "schemas": definitions,
            "responses": _problem_answers(),
            "headers": {
                name: {"description": words, "schema": {"type": "integer"}}
                for name, words in RATE_HEADERS.items()
            },
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "m2b_<id>_<secret>",
                    "description": "Made by administrators: Settings, API tokens.",
                }
            },
        },
    }


def statuses_of(operation: Operation) -> list[int]:
    """Return every status the operation answers with, the good one first."""
    return [operation.status, *sorted({KINDS[code].status for code in problems_of(operation)})]


def problems_of(operation: Operation) -> list[str]:
    """Return the codes of the problems an operation may answer with, by status."""
    codes = {*ALWAYS, *operation.problems}
    if operation.path_names:
        codes.add("not_found")
    if operation.query is not None:
        codes |= {"invalid", "uri_too_long"} | (
            {"bad_cursor"} if "cursor" in operation.query.model_fields else set()
        )
    if operation.body is not None:
        codes |= {"invalid", "bad_request", "unsupported_media_type", "too_large"}
    if operation.takes_file:
        codes |= {"invalid", "unsupported_media_type", "too_large"}
    if operation.method == "POST":
        codes |= {"key_in_use", "key_reused"}
    if not operation.is_safe:
        codes.add("tenant_suspended")
    return sorted(codes, key=lambda code: (KINDS[code].status, list(KINDS).index(code)))


def _schemas() -> tuple[dict[tuple[Any, JsonSchemaMode], Any], dict[str, Any]]:
    wanted: list[tuple[Any, JsonSchemaMode]] = [(ProblemAnswer, "validation")]
    for operation in OPERATIONS:
        if operation.body is not None:
            wanted.append((operation.body, "validation"))
        if operation.answer is not None:
            wanted.append((operation.answer, "serialization"))
    found, whole = models_json_schema(list(dict.fromkeys(wanted)), ref_template=PLACES)
    definitions = whole.get("$defs", {})
    schemas = {key: _renamed(each) for key, each in found.items()}
    named = {_NAME.sub(r"\1s", name): each for name, each in definitions.items()}
    return schemas, {name: _plain(_renamed(each)) for name, each in sorted(named.items())}


def _renamed(node: Any) -> Any:
    """Return a schema whose references call a page of things by their plural."""
    if isinstance(node, dict):
        return {
            key: _NAME.sub(r"\1s", each) if key == "$ref" else _renamed(each)
            for key, each in node.items()
        }
    return [_renamed(each) for each in node] if isinstance(node, list) else node


def _described(operation: Operation, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.group],
        "summary": operation.summary,
        "parameters": list(_parameters(operation)),
        "responses": _answers(operation, schemas),
    }
    needs = f"Needs the permission `{operation.scope}`." if operation.scope else ""
    text = " ".join(part for part in (operation.details, needs) if part)
    if text:
        found["description"] = text
    if operation.body is not None:
        is_needed = any(field.is_required() for field in operation.body.model_fields.values())
        schema = schemas[operation.body, "validation"]
        found["requestBody"] = {
            "required": is_needed,
            "content": {"application/json": {"schema": schema}},
        }
    if operation.takes_file:
        kinds = {kind: {"schema": {"type": "string", "format": "binary"}}
                 for kind in operation.file_types}  # fmt: skip
        found["requestBody"] = {"required": True, "content": kinds}
    return found


def _parameters(operation: Operation) -> Iterable[dict[str, Any]]:
    for name in operation.path_names:
        schema: dict[str, Any] = {"type": "string", "minLength": 1}
        if name.endswith("uid"):
            schema = dict(UID_SCHEMA)
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    if operation.query is not None:
        whole = operation.query.model_json_schema()
        needed = whole.get("required", ())
        for name, schema in whole.get("properties", {}).items():
            yield _query_parameter(name, _plain(schema), is_needed=name in needed)
    if operation.method == "POST":
        yield {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "Visible ASCII. Repeats within 24 hours get the first answer.",
            "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
        }


def _query_parameter(name: str, schema: dict[str, Any], *, is_needed: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "in": "query", "required": is_needed}
    words = schema.pop("description", None)
    if words:
        found["description"] = words
    if schema.get("default", "") is None:
        del schema["default"]
    choices = [each for each in schema.pop("anyOf", ()) if each.get("type") != "null"]
    found["schema"] = {**schema, **(choices[0] if choices else {})}
    return found


def _answers(operation: Operation, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    good: dict[str, Any] = {
        "description": "Done." if operation.status == 204 else "The answer.",
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in RATE_HEADERS},
    }
    if operation.answer is not None:
        schema = schemas[operation.answer, "serialization"]
        good["content"] = {"application/json": {"schema": schema}}
    elif operation.gives_file:
        binary = {"schema": {"type": "string", "format": "binary"}}
        good["content"] = dict.fromkeys(operation.file_types, binary)
    found = {str(operation.status): good}
    for code in problems_of(operation):
        status = KINDS[code].status
        found.setdefault(str(status), {"$ref": f"#/components/responses/Problem{status}"})
    return found


def _problem_answers() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for code, kind in KINDS.items():
        each = found.setdefault(
            f"Problem{kind.status}",
            {
                "description": "",
                "content": {
                    CONTENT_TYPE: {"schema": {"$ref": PLACES.format(model="ProblemAnswer")}}
                },
            },
        )
        words = f"`{code}`: {kind.title}."
        each["description"] = f"{each['description']} {words}".strip()
    return found


def _plain(schema: Any) -> Any:
    """Return a schema without the titles that pydantic makes of the names."""
    found = copy.deepcopy(schema)
    _drop_titles(found)
    return found


def _drop_titles(node: Any) -> None:
    if isinstance(node, list):
        for each in node:
            _drop_titles(each)
    if not isinstance(node, dict):
        return
    if isinstance(node.get("title"), str):
        del node["title"]
    for name, each in node.items():
        if name == "properties":
            for schema in each.values():
                _drop_titles(schema)
        elif name not in {"default", "examples", "enum", "const"}:
            _drop_titles(each)
