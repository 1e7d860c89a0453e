"""The API's description in parts, for the page about it and for the reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from meet2be.api_tokens.scopes import SCOPES
from meet2be.web.api.description import AREAS, SERVER, document, problems_of
from meet2be.web.api.operations import OPERATIONS, Operation
from meet2be.web.api.problems import KINDS
from meet2be.web.api.rates import PER_WINDOW


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a request or an answer, or a parameter."""

    name: str
    kind: str
    is_needed: bool
    words: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """An operation as the page and the reference show it."""

    name: str
    method: str
    path: str
    summary: str
    details: str
    scope: str | None
    status: int
    parameters: list[Field]
    body: list[Field]
    answer: str
    problems: list[tuple[int, str]]
    file_types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Readable:
    """The description in parts: operations by area, models, problems, permissions."""

    areas: list[tuple[str, list[Shown]]]
    things: list[tuple[str, str, list[Field]]]
    problems: list[tuple[str, int, str]]
    scopes: list[tuple[str, str, str]]
    per_minute: int


@cache
def readable() -> Readable:
    """Return the description for people; made once, from the document."""
    whole = document()
    shown: dict[str, list[Shown]] = {}
    for operation in OPERATIONS:
        told = whole["paths"][operation.path][operation.method.lower()]
        shown.setdefault(operation.group, []).append(_shown(operation, told, whole))
    things = [
        (name, schema.get("description", ""), list(_fields(schema)))
        for name, schema in whole["components"]["schemas"].items()
        if "properties" in schema
    ]
    return Readable(
        areas=[(AREAS[group], shown[group]) for group in AREAS if group in shown],
        things=things,
        problems=[(code, kind.status, kind.title) for code, kind in KINDS.items()],
        scopes=[(scope.key, scope.words, scope.role) for scope in SCOPES.values()],
        per_minute=PER_WINDOW,
    )


def _shown(operation: Operation, told: Mapping[str, Any], whole: Mapping[str, Any]) -> Shown:
    parameters = [
        Field(each["name"], _kind(each["schema"]), each["required"],
              each.get("description", ""), each["in"])
        for each in told["parameters"]
    ]  # fmt: skip
    body: list[Field] = []
    if operation.body is not None:
        name = _name_in(told["requestBody"]["content"]["application/json"]["schema"])
        body = list(_fields(whole["components"]["schemas"][name]))
    answer = ""
    if operation.answer is not None:
        good = told["responses"][str(operation.status)]["content"]["application/json"]
        answer = _name_in(good["schema"])
    return Shown(
        operation.name, operation.method, SERVER + operation.path, operation.summary,
        operation.details, operation.scope, operation.status, parameters, body, answer,
        [(KINDS[code].status, code) for code in problems_of(operation)], operation.file_types,
    )  # fmt: skip


def _fields(schema: Mapping[str, Any]) -> Iterable[Field]:
    needed = schema.get("required", ())
    for name, each in schema.get("properties", {}).items():
        yield Field(name, _kind(each), name in needed, each.get("description", ""))


def _kind(schema: Mapping[str, Any]) -> str:
    """Return a schema in a few words."""
    inner = schema.get("additionalProperties")
    if "$ref" in schema:
        found = _name_in(schema)
    elif "anyOf" in schema:
        found = " or ".join(_kind(each) for each in schema["anyOf"])
    elif "enum" in schema or "const" in schema:
        found = ", ".join(f"`{each}`" for each in schema.get("enum", [schema.get("const")]))
    elif schema.get("type") == "array":
        found = f"list of {_kind(schema.get('items', {}))}"
    elif isinstance(inner, dict):
        found = f"object of {_kind(inner)}"
    else:
        found = str(schema.get("format") or schema.get("type") or "anything")
    return found


def _name_in(schema: Mapping[str, Any]) -> str:
    return str(schema["$ref"]).rpartition("/")[2]
