"""The API in tests: programs with tokens of people's."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from meet2be.accounts.models import User
from meet2be.api_tokens.scopes import allowed_scopes
from meet2be.api_tokens.services import TokenDraft, make_token
from meet2be.audit.services import Actor
from meet2be.tenancy.models import Tenant
from support.factories import make_user
from support.web import Web

V1 = "/api/v1"


@dataclass
class Program:
    """A program that shows a token."""

    client: FlaskClient
    token: str
    user: User
    uid: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def ask(
        self, method: str, path: str, body: Any = None, key: str = "", **options: Any
    ) -> TestResponse:
        """Return the answer to a request below `/api/v1`."""
        headers = {"Authorization": f"Bearer {self.token}", **self.headers}
        if key:
            headers["Idempotency-Key"] = key
        headers |= options.pop("headers", {})
        if body is not None:
            options["json"] = body
        return self.client.open(V1 + path, method=method, headers=headers, **options)

    def get(self, path: str, **query: Any) -> Any:
        """Return what a request that must succeed gives."""
        answer = self.ask("GET", path, query_string=query)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.get_json()

    def post(self, path: str, body: Any = None, key: str = "") -> TestResponse:
        """Return the answer to a POST."""
        return self.ask("POST", path, body, key)

    def all_of(self, path: str, **query: Any) -> list[Any]:
        """Return the entries of all pages of a list."""
        found: list[Any] = []
        cursor: Mapping[str, str] = {}
        while True:
            page = self.get(path, **query, **cursor)
            found += page["data"]
            if page["next_cursor"] is None:
                return found
            cursor = {"cursor": page["next_cursor"]}


def program(
    web: Web, tenant: Tenant, role: str = "admin", scopes: Iterable[str] | None = None
) -> Program:
    """Return a program with a token of somebody of that role; with all that they may."""
    user = make_user(web.services.database, tenant, role)
    return program_of(web, tenant, user, allowed_scopes(role) if scopes is None else scopes)


def program_of(
    web: Web, tenant: Tenant, user: User, scopes: Iterable[str], days: int | None = 30
) -> Program:
    """Return a program with a token of that person."""
    now = web.services.clock.now()
    with web.services.database.tenant_session(tenant.id) as session:
        draft = TokenDraft("a program", tuple(scopes), days)
        token, text = make_token(session, draft, user.id, Actor("user", str(user.id)), now)
        session.commit()
    return Program(web.app.test_client(use_cookies=False), text, user, token.uid)
