"""A token, lists by cursors, one thing, and what the API refuses."""

from typing import Any

import pytest

from meet2be.api_tokens.services import revoke_token
from meet2be.audit.services import Actor
from support.api import Program, program
from support.factories import make_tenant
from support.stage import Stage

UNKNOWN = "0" * 26


@pytest.fixture
def admin(stage: Stage) -> Program:
    """A program of an admin."""
    return program(stage.web, stage.conference.tenant)


def test_a_token_tells_whose_it_is_and_what_it_may(stage: Stage, admin: Program) -> None:
    me = admin.get("/me")
    assert me["tenant"] == stage.conference.tenant.uid
    assert me["role"] == "admin"
    assert "cancellations:write" in me["scopes"]
    assert admin.token not in str(me)


def test_events_and_attendees_are_listed_by_cursors(stage: Stage, admin: Program) -> None:
    (event,) = admin.all_of("/events")
    assert event["uid"] == stage.conference.event.uid
    listed = admin.all_of(f"/events/{event['uid']}/attendees", limit=3)
    assert [each["name"] for each in listed] == sorted(each["name"] for each in listed)
    assert len({each["uid"] for each in listed}) == len(listed) == 8
    latest = admin.all_of(f"/events/{event['uid']}/attendees", limit=3, sort="-registered")
    codes = [each["ticket_code"] for each in latest]
    assert codes == sorted((each["ticket_code"] for each in listed), reverse=True)
    one = admin.get(f"/attendees/{listed[0]['uid']}")
    assert one["name"] == listed[0]["name"] and one["payment"]["currency"] == "EUR"
    kinds = admin.get(f"/events/{event['uid']}/ticket-types")["data"]
    assert kinds and admin.get(f"/events/{event['uid']}/sums")["attendees"] == 8


def test_a_cursor_is_good_for_its_list_its_filters_and_its_tenant_only(
    stage: Stage, admin: Program
) -> None:
    path = f"/events/{stage.conference.event.uid}/attendees"
    cursor = admin.get(path, limit=3)["next_cursor"]
    assert admin.ask("GET", path, query_string={"cursor": cursor}).status_code == 200
    other = program(stage.web, make_tenant(stage.web.services.database))
    for asked in (
        admin.ask("GET", path, query_string={"cursor": cursor, "state": "active"}),
        admin.ask("GET", "/events", query_string={"cursor": cursor}),
        other.ask("GET", "/events", query_string={"cursor": cursor}),
        admin.ask("GET", path, query_string={"cursor": cursor[:-4] + "AAAA"}),
        admin.ask("GET", path, query_string={"cursor": "ä"}),
    ):
        assert (asked.status_code, asked.get_json()["code"]) == (400, "bad_cursor")


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code"),
    [
        ("GET", f"/events/{UNKNOWN}", {}, 404, "not_found"),
        ("GET", "/events/what", {}, 404, "not_found"),
        ("GET", "/nothing", {}, 404, "not_found"),
        ("DELETE", "/events", {}, 405, "method_not_allowed"),
        ("GET", "/events?limit=0", {}, 422, "invalid"),
        ("GET", "/events?page=2", {}, 422, "invalid"),
        ("GET", "/events?limit=1&limit=2", {}, 422, "invalid"),
        ("POST", "/notifications/read", {"data": "{"}, 415, "unsupported_media_type"),
        (
            "POST", "/notifications/read",
            {"data": "{", "content_type": "application/json"}, 400, "bad_request",
        ),
        ("POST", "/notifications/read", {"json": {"notification": 7}}, 422, "invalid"),
        ("POST", "/notifications/read", {"json": {"more": 7}}, 422, "invalid"),
        (
            "POST", "/notifications/read",
            {"data": b" " * 300_000, "content_type": "application/json"}, 413, "too_large",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_a_problem(
    admin: Program, method: str, path: str, options: dict[str, Any], status: int, code: str
) -> None:
    answer = admin.ask(method, path, **options)
    assert answer.content_type == "application/problem+json"
    told = answer.get_json()
    assert (answer.status_code, told["status"], told["code"]) == (status, status, code)
    assert answer.headers["X-Request-Id"] == told["request_id"]
    assert answer.headers["Cache-Control"] == "no-store"
    if status == 405:
        assert "GET" in answer.headers["Allow"]


def test_without_a_good_token_nobody_gets_anything(stage: Stage, admin: Program) -> None:
    client = stage.web.app.test_client(use_cookies=False)
    for header in (
        "", "Bearer", "Bearer m2b_x_y", f"Basic {admin.token}", f"Bearer {admin.token[:-1]}0x",
        f"Bearer {admin.token[:-4]}{'0000' if admin.token[-4:] != '0000' else '1111'}",
    ):  # fmt: skip
        answer = client.get("/api/v1/me", headers={"Authorization": header})
        assert (answer.status_code, answer.get_json()["code"]) == (401, "unauthorized")
        assert "Bearer" in answer.headers["WWW-Authenticate"]
    now = stage.web.services.clock.now()
    with stage.web.services.database.tenant_session(stage.conference.tenant.id) as session:
        assert revoke_token(session, admin.uid, Actor("user", "1"), now)
        session.commit()
    assert admin.ask("GET", "/me").status_code == 401


def test_a_log_in_s_cookie_is_no_token(stage: Stage) -> None:
    assert stage.admin.get("/api/v1/me").status_code == 401
