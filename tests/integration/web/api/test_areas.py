"""What programs do from end to end: cancel, export, import, hook, order."""

from typing import Any

import pytest
from sqlalchemy import select, update

from meet2be.audit.models import AuditEntry
from meet2be.cancellations.models import CancelRun
from meet2be.exports.running import run_export
from meet2be.tenancy.models import Tenant
from support.api import Program, program
from support.api_things import LIST
from support.exporting import Control
from support.stage import Stage


@pytest.fixture
def admin(stage: Stage) -> Program:
    """A program of an admin."""
    return program(stage.web, stage.conference.tenant)


def set_limit(stage: Stage, minor: int) -> None:
    """Set how much may be confirmed without a code."""
    with stage.web.services.database.system_session("tests") as session:
        session.execute(
            update(Tenant)
            .where(Tenant.id == stage.conference.tenant.id)
            .values(confirm_limit_minor=minor)
        )
        session.commit()


def test_a_cancellation_is_previewed_confirmed_watched_and_stopped(
    stage: Stage, admin: Program
) -> None:
    event = stage.conference.event
    limit = stage.conference.tenant.confirm_limit_minor
    set_limit(stage, 0)
    made = admin.post(f"/events/{event.uid}/cancellations", {"message": "sorry"}).get_json()
    path = f"/cancellations/{made['uid']}"
    confirmation = {"event_name": event.title, "preview_hash": made["preview"]["hash"]}
    assert made["needs_code"] is True
    for wrong, where in (
        ({**confirmation, "event_name": "x"}, "/event_name"),
        (confirmation, "/code"),
    ):
        refused = admin.post(f"{path}/confirm", wrong)
        assert (refused.status_code, refused.get_json()["errors"][0]["where"]) == (422, where)
    stale = admin.post(f"{path}/confirm", {**confirmation, "preview_hash": "x"})
    assert (stale.status_code, stale.get_json()["code"]) == (409, "conflict")
    assert admin.post(f"{path}/code").status_code == 202
    database, tenant = stage.web.services.database, stage.conference.tenant
    with database.tenant_session(tenant.id) as session:
        assert session.scalars(select(CancelRun.code_hash)).first() is not None
    set_limit(stage, limit)
    stage.conference.confirm()
    (running,) = admin.all_of("/cancellations")
    path = f"/cancellations/{running['uid']}"
    stage.conference.work(0, chunks=1)
    progress = admin.ask("GET", f"{path}/progress")
    assert progress.get_json()["total"] == 8
    same = admin.ask("GET", f"{path}/progress", headers={"If-None-Match": progress.headers["ETag"]})
    assert same.status_code == 304
    assert len(admin.all_of(f"{path}/items", limit=3)) == 8
    paused = admin.post(f"{path}/pause", {"reason": "lunch"}).get_json()
    assert (paused["state"], paused["pause_reason"]) == ("paused", "lunch")
    assert admin.post(f"{path}/pause").status_code == 409
    assert admin.post(f"{path}/resume").get_json()["state"] == "running"
    assert admin.post(f"{path}/abort", {"reason": "enough"}).get_json()["state"] == "aborted"
    refunds = admin.all_of("/refunds")
    assert refunds and admin.get(f"/refunds/{refunds[0]['uid']}")["cancellation"] == running["uid"]
    mails = admin.all_of("/mails")
    assert mails and admin.get(f"/mails/{mails[0]['uid']}")["uid"] == mails[0]["uid"]
    assert admin.post("/notifications/read", {}).status_code == 200


def test_an_export_is_asked_for_made_and_fetched(stage: Stage, admin: Program) -> None:
    path = f"/events/{stage.conference.event.uid}/exports"
    wrong = admin.post(path, {"columns": ["nothing"], "timezone": "Moon/Base"})
    fields = {each["where"] for each in wrong.get_json()["errors"]}
    assert (wrong.status_code, fields) == (422, {"/columns", "/timezone"})
    asked = admin.post(path, {"format": "csv", "columns": ["name"]}).get_json()
    assert admin.post(path, {"format": "csv", "columns": ["name"]}).get_json() == asked
    file = f"/exports/{asked['uid']}/file"
    assert admin.ask("GET", file).get_json()["code"] == "conflict"
    run_export(stage.web.services.exports, stage.conference.tenant.id, asked["uid"], Control())
    ready = admin.get(f"/exports/{asked['uid']}")
    assert (ready["state"], ready["download"]) == ("ready", f"/api/v1{file}")
    fetched = admin.ask("GET", file)
    assert fetched.status_code == 200 and b"Ada Arden" in fetched.data
    assert "attachment" in fetched.headers["Content-Disposition"]
    with stage.web.services.database.tenant_session(stage.conference.tenant.id) as session:
        entry = session.query(AuditEntry).filter(AuditEntry.action == "export.downloaded").one()
    assert (entry.actor_kind, entry.actor_id) == ("token", admin.uid)
    assert admin.ask("DELETE", f"/exports/{asked['uid']}").status_code == 204
    assert admin.ask("GET", f"/exports/{asked['uid']}").status_code == 404


def test_a_list_is_uploaded_mapped_and_cancelled(stage: Stage, admin: Program) -> None:
    upload: dict[str, Any] = {"data": LIST, "content_type": "text/csv", "query_string": {
        "event": stage.conference.event.uid, "filename": "guests.csv"}}  # fmt: skip
    made = admin.ask("POST", "/imports", key="k1", **upload)
    assert made.status_code == 201, made.text
    told = made.get_json()
    assert told["header"] == ["Name", "E-mail", "Ticket"]
    assert told["mapping"]["email"] == {"column": 1}
    assert admin.ask("POST", "/imports", key="k1", **upload).get_json()["uid"] == told["uid"]
    other = admin.ask("POST", "/imports", key="k1", **{**upload, "data": LIST + b"\r\n"})
    assert other.get_json()["code"] == "key_reused"
    path = f"/imports/{told['uid']}"
    missing = admin.ask("PUT", f"{path}/mapping", {"mapping": {}})
    assert missing.status_code == 422
    assert "/mapping/ticket" in {each["where"] for each in missing.get_json()["errors"]}
    checked = admin.ask("PUT", f"{path}/mapping", {"mapping": told["mapping"]})
    assert checked.get_json()["state"] == "validating"
    assert admin.get(f"{path}/progress")["is_moving"] is True
    assert admin.get(f"{path}/rows")["data"] == []
    assert admin.post(f"{path}/start").status_code == 409
    assert admin.post(f"{path}/cancel").get_json()["state"] == "mapped"
    bad = {**upload, "data": b"PK\x03\x04 no workbook", "content_type": "text/csv"}
    assert admin.ask("POST", "/imports", **bad).status_code == 422
    assert (
        admin.ask("POST", "/imports", **{**upload, "content_type": "image/png"}).status_code == 415
    )
    people = {**upload, "query_string": {"kind": "users"}}
    organiser = program(stage.web, stage.conference.tenant, "organiser")
    assert organiser.ask("POST", "/imports", **people).status_code == 403


def test_an_endpoint_s_secret_is_shown_once_and_rotated(stage: Stage, admin: Program) -> None:
    wish = {"url": "https://8.8.8.8/hook", "headers": {"X-Key": "k"}, "event_types": None}
    made = admin.post("/webhook-endpoints", wish, key="k1").get_json()
    assert made["secret"].startswith("whsec_") and made["header_names"] == ["X-Key"]
    assert admin.post("/webhook-endpoints", wish, key="k1").get_json()["secret"] == made["secret"]
    path = f"/webhook-endpoints/{made['uid']}"
    assert "secret" not in admin.get(path)
    assert admin.post("/webhook-endpoints", {"url": "http://127.0.0.1/"}).status_code == 422
    assert admin.post(f"{path}/secret").get_json()["secret"] != made["secret"]
    assert admin.post(f"{path}/secret").status_code == 409
    assert admin.ask("DELETE", f"{path}/former-secret").status_code == 204
    test = admin.post(f"{path}/test").get_json()["delivery"]
    (delivery,) = admin.all_of("/webhook-deliveries", endpoint=made["uid"])
    assert (delivery["uid"], delivery["is_test"]) == (test, True)
    assert admin.post(f"/webhook-deliveries/{test}/cancel").status_code == 200
    assert admin.post("/webhook-deliveries/replay", {"endpoint": made["uid"]}).status_code == 202
    changed = admin.ask("PUT", path, {**wish, "url": "https://8.8.4.4/hook"}).get_json()
    assert changed["url"] == "https://8.8.4.4/hook"
    assert admin.post(f"{path}/pause").get_json()["status"] == "paused"
    assert admin.ask("DELETE", path).status_code == 204
    assert admin.get("/webhook-endpoints")["data"] == []


def test_orders_and_figures_are_told(stage: Stage, admin: Program) -> None:
    orders = admin.all_of("/orders", limit=2)
    assert len(orders) == len(stage.conference.orders)
    one = admin.get(f"/orders/{orders[0]['uid']}")
    assert one["code"] == orders[0]["code"] and one["attendees"]
    assert "buyer_key" not in one and "payment_method" not in one
    found = admin.get("/orders", q=one["code"])["data"]
    assert [each["uid"] for each in found] == [one["uid"]]
    nobody = {"attendees": ["0" * 26], "reason": "x"}
    assert admin.post(f"/orders/{one['uid']}/refund", nobody).status_code == 409
    figures = admin.get(f"/events/{stage.conference.event.uid}/figures")
    assert figures == {"as_of": None, "currencies": []}
