"""The API's description, its routes and its reference are one and the same."""

import re
from typing import Any

import pytest
from jsonschema_rs import validator_for
from schemathesis.specs.openapi.definitions import OPENAPI_31

from meet2be.api_tokens.scopes import SCOPES
from meet2be.web.api import application
from meet2be.web.api.description import SERVER, document
from meet2be.web.api.operations import OPERATIONS
from meet2be.web.api.problems import KINDS
from support import api_reference
from support.pages import ROOT


def described() -> set[tuple[str, str]]:
    return {
        (method.upper(), SERVER + path)
        for path, methods in document()["paths"].items()
        for method in methods
    }


def test_the_description_is_valid_openapi() -> None:
    wrong = [error.message for error in validator_for(OPENAPI_31).iter_errors(document())]
    assert wrong == []
    assert document()["openapi"] == "3.1.0"


def test_every_reference_of_the_description_leads_somewhere() -> None:
    parts = document()["components"]
    references = set(re.findall(r"'\$ref': '#/components/(\w+)/([\w-]+)'", str(document())))
    assert len(references) > 60
    assert [each for each in references if each[1] not in parts[each[0]]] == []


def test_every_operation_is_a_route_and_every_route_an_operation() -> None:
    from flask import Flask

    app = Flask("routes")
    app.register_blueprint(application.blueprint)
    routes = {
        (method, re.sub(r"<(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("api.") and rule.rule.startswith(f"{SERVER}/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert routes - {("GET", f"{SERVER}/openapi.json")} == described()


def test_names_are_used_once_and_scopes_exist_and_are_all_used() -> None:
    names = [operation.name for operation in OPERATIONS]
    assert len(names) == len(set(names))
    used = {operation.scope for operation in OPERATIONS} - {None}
    assert used <= set(SCOPES)
    assert [operation.name for operation in OPERATIONS if operation.scope is None] == ["get_me"]
    for operation in OPERATIONS:
        assert operation.summary, operation.name
        if operation.method == "GET" and operation.scope:
            assert not operation.scope.endswith(":write"), operation.name
        if operation.method != "GET" and operation.scope:
            assert operation.scope.endswith((":write", ":preview", ":decide")), operation.name


def test_nothing_in_the_description_takes_any_field() -> None:
    open_ones = [
        name
        for name, schema in document()["components"]["schemas"].items()
        if "properties" in schema and schema.get("additionalProperties") is not False
    ]
    assert open_ones == ["ProblemAnswer"]


def test_every_problem_that_is_described_is_a_kind() -> None:
    statuses = {kind.status for kind in KINDS.values()}
    told: dict[str, Any] = document()["components"]["responses"]
    assert {f"Problem{status}" for status in statuses} == set(told)


def test_the_reference_is_what_is_made_from_the_description() -> None:
    page = (ROOT / "docs/reference/api.md").read_text("utf-8")
    if page != api_reference.page():
        pytest.fail("docs/reference/api.md is old: run `make catalogue`")
