"""Hanging the API onto the application: routes, the description, the page about it."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Final

from flask import Blueprint, Flask, Response, json, render_template, request
from werkzeug.exceptions import RequestURITooLarge

from meet2be.bootstrap import Services
from meet2be.db.columns import new_uid
from meet2be.web.api import description
from meet2be.web.api.cursors import Cursors
from meet2be.web.api.operations import OPERATIONS
from meet2be.web.api.problems import is_for_programs
from meet2be.web.api.rates import Rates
from meet2be.web.api.readable import readable
from meet2be.web.api.serving import add_rate_headers, view_of
from meet2be.web.security import public

ROOT: Final = "/api/v1"
LONGEST_ADDRESS: Final = 8_000
"""Characters of path and query; web servers before us let a little more through."""
AREAS: Final = (
    "account", "events", "attendees", "cancellations", "refunds", "mails", "notifications",
    "exports", "export_plans", "imports", "webhooks", "orders", "figures", "members", "settings",
)  # fmt: skip

for _area in AREAS:
    importlib.import_module(f"meet2be.web.api.{_area}")

blueprint = Blueprint("api", __name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the API keeps from request to request."""

    rates: Rates
    cursors: Cursors


@blueprint.get(f"{ROOT}/openapi.json")
@public
def document() -> Response:
    """Give the description of the API (OpenAPI 3.1)."""
    response = Response(json.dumps(description.document()) + "\n", mimetype="application/json")
    response.headers["Cache-Control"] = "public, max-age=300"
    response.add_etag()
    response.make_conditional(request)
    return response


@blueprint.get("/api/docs")
@public
def docs() -> str:
    """Show the description to people."""
    return render_template("api/docs.html", api=readable())


for _operation in OPERATIONS:
    blueprint.add_url_rule(
        ROOT + _operation.rule,
        endpoint=_operation.name,
        view_func=view_of(_operation),
        methods=[_operation.method],
        provide_automatic_options=False,
    )


def install(app: Flask, services: Services, cursor_key: str) -> None:
    """Add the API to an application; no connection is opened by this."""
    rates = Rates(services.settings.broker.url, services.clock)
    app.extensions["meet2be_api"] = Parts(rates, Cursors(cursor_key))
    app.register_blueprint(blueprint)
    app.before_request(_name_request)
    app.after_request(_after)


def _name_request() -> None:
    if is_for_programs():
        request.environ["meet2be.request_id"] = new_uid()
        if len(request.full_path) > LONGEST_ADDRESS:
            raise RequestURITooLarge


def _after(response: Response) -> Response:
    return add_rate_headers(response) if is_for_programs() else response
