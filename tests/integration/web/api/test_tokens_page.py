"""Settings, API tokens: a token is shown once, does what was ticked, and ends."""

import re

from meet2be.audit.models import AuditEntry
from support.api import Program
from support.stage import Stage

TOKEN = re.compile(r"m2b_[0-9a-z]{26}_[0-9a-f]{64}")
PAGE = "/settings/api-tokens"


def make(stage: Stage, **fields: object) -> str:
    person = stage.admin
    data = {"csrf_token": person.token(), "name": "Badge printer", "days": "30", **fields}
    page = person.client.post(PAGE, data=data)
    assert page.status_code == 200, page.text
    (text,) = TOKEN.findall(page.text)
    return str(text)


def test_a_token_is_shown_once_and_ends_when_it_is_revoked(stage: Stage) -> None:
    text = make(stage, scopes=["events:read", "attendees:read"])
    assert text not in stage.admin.page(PAGE)
    user = stage.admin.user
    assert user is not None
    program = Program(stage.web.app.test_client(use_cookies=False), text, user)
    assert program.get("/me")["scopes"] == ["attendees:read", "events:read"]
    assert program.ask("GET", "/refunds").status_code == 403
    assert "Badge printer" in stage.admin.page(PAGE)
    uid = text.split("_")[1]
    assert stage.admin.post(f"{PAGE}/{uid}/revoke").status_code == 303
    assert program.ask("GET", "/me").status_code == 401
    assert "revoked" in stage.admin.page(PAGE)
    with stage.web.services.database.system_session("tests") as session:
        entries = session.query(AuditEntry).filter(AuditEntry.object_id == uid).all()
    assert [entry.action for entry in entries] == ["api_token.made", "api_token.revoked"]
    assert text not in str([entry.after for entry in entries])


def test_what_a_token_cannot_be_is_said(stage: Stage) -> None:
    person = stage.admin
    for fields, words in (
        ({"name": "", "scopes": "events:read"}, "Give the token a name"),
        ({"name": "x"}, "Choose what the token may do"),
        ({"name": "x", "scopes": "everything"}, "There is no permission"),
        ({"name": "x", "scopes": "events:read", "days": "999"}, "between 1 and 365"),
    ):
        answer = person.post(PAGE, **fields)
        assert answer.status_code == 422 and words in answer.text, fields


def test_the_page_speaks_german(stage: Stage) -> None:
    person = stage.web.person(stage.conference.tenant, "admin", locale="de-DE")
    page = person.page(PAGE)
    assert "API-Token" in page and "Make a token" not in page
