"""What organisers and administrators do on the pages, done by programs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from meet2be.audit.models import AuditEntry
from meet2be.db import Database
from meet2be.mailings.models import Mail
from onqueue.testing.clock import FakeClock
from support.api import Program, program
from support.house import House, housed

EVENT = {
    "title": "Spring Days", "timezone": "Europe/Berlin", "currency": "EUR",
    "starts_at": "2027-06-10T09:00:00+02:00", "ends_at": "2027-06-11T18:00:00+02:00",
}  # fmt: skip
KIND = {"name": "Regular", "price_minor": 11_900, "tax_bp": 1900, "quota": 5}
BUYER = {"name": "Bea Buyer", "email": "bea@example.org"}


@pytest.fixture
def house(sqlite_database: Database, clock: FakeClock, tmp_path: Path) -> Iterator[House]:
    with housed(sqlite_database, clock, tmp_path) as made:
        yield made


@pytest.fixture
def owner(house: House) -> Program:
    return program(house.web, house.tenant, "owner")


def made(owner: Program, path: str, body: object, status: int = 201) -> dict[str, object]:
    answer = owner.post(path, body)
    assert answer.status_code == status, answer.text
    found: dict[str, object] = answer.get_json()
    return found


def test_an_event_is_made_published_sold_and_closed(house: House, owner: Program) -> None:
    event = made(owner, "/events", EVENT)
    assert (event["status"], event["slug"]) == ("draft", "spring-days")
    path = f"/events/{event['uid']}"
    early = owner.post(f"{path}/publish")
    assert early.status_code == 409
    assert "Create a ticket type first" in early.get_json()["detail"]
    kind = made(owner, f"{path}/ticket-types", KIND)
    assert owner.post(f"{path}/publish").get_json()["status"] == "live"
    wish = {
        **BUYER,
        "tickets": [{"ticket_type": kind["uid"], "holders": [{"name": "A"}, {"name": "B"}]}],
    }
    orders = [owner.post(f"{path}/orders", wish, key=f"order-{n}") for n in (1, 1, 2, 3)]
    assert [each.status_code for each in orders] == [202, 202, 202, 409]
    told = orders[0].get_json()
    assert told == orders[1].get_json()
    assert (told["total_minor"], told["status"]) == (23_800, "pending")
    page = told["buyer_page"].partition("/t/")[2]
    assert house.web.anybody().get(f"/t/{page}").status_code == 200
    change = f"/ticket-types/{kind['uid']}"
    fewer = owner.ask("PATCH", change, {"quota": 3})
    assert (fewer.status_code, fewer.get_json()["errors"][0]["where"]) == (422, "/quota")
    raised = owner.ask("PATCH", change, {"price_minor": 12_900}).get_json()
    assert (raised["price_minor"], raised["name"], raised["held"]) == (12_900, "Regular", 4)
    kept = owner.ask("PATCH", path, {"currency": "CHF"})
    assert kept.get_json()["errors"][0]["where"] == "/currency"
    assert owner.ask("PATCH", path, {"place": "Hall 3"}).get_json()["title"] == "Spring Days"
    assert owner.post(f"{change}/close").get_json()["closed_at"] is not None
    assert owner.post(f"{change}/close").status_code == 409
    assert owner.post(f"{change}/reopen").get_json()["closed_at"] is None
    assert owner.post(f"{path}/figures").status_code == 202


def test_a_moment_is_told_in_utc_and_lies_in_years_that_clocks_show(owner: Program) -> None:
    assert made(owner, "/events", EVENT)["starts_at"] == "2027-06-10T07:00:00Z"
    for moment in (
        "0001-01-01T00:00:00+14:00",
        "0999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-12:00",
    ):
        answer = owner.post("/events", {**EVENT, "starts_at": moment})
        assert answer.status_code == 422
        assert "must lie in the years 1000 to 9998" in answer.text


def test_a_language_is_one_of_ours_in_any_country(owner: Program) -> None:
    for locale in ("../../x", "xx", "fr-FR", "de-"):
        assert owner.ask("PATCH", "/settings", {"locale": locale}).status_code == 422
    for locale, kept in (("de_AT", "de-AT"), ("de-DE@euro", "de-DE"), ("en-US", "en-US")):
        assert owner.ask("PATCH", "/settings", {"locale": locale}).get_json()["locale"] == kept


def test_members_are_invited_and_changed_within_one_s_own_role(
    house: House, owner: Program
) -> None:
    asked = made(owner, "/invitations", {"email": "new@example.org", "role": "organiser"})
    again = owner.post("/invitations", {"email": "new@example.org", "role": "organiser"})
    assert again.status_code == 409
    assert owner.post(f"/invitations/{asked['uid']}/resend").status_code == 202
    assert owner.ask("DELETE", f"/invitations/{asked['uid']}").status_code == 204
    assert owner.get("/invitations")["data"] == []
    people = {each["email"]: each for each in owner.all_of("/members")}
    ada = people["ada@example.org"]
    admin = program(house.web, house.tenant, "admin")
    too_high = admin.ask("PUT", f"/members/{ada['uid']}/role", {"role": "owner"})
    assert too_high.status_code == 409
    changed = owner.ask("PUT", f"/members/{ada['uid']}/role", {"role": "viewer"})
    assert changed.get_json()["role"] == "viewer"
    assert owner.ask("DELETE", f"/members/{ada['uid']}").status_code == 204
    assert "ada@example.org" not in {each["email"] for each in owner.all_of("/members")}


def test_settings_warehouse_and_postage_are_set(house: House, owner: Program) -> None:
    assert owner.ask("PATCH", "/settings", {"name": "Aurora II"}).get_json()["name"] == "Aurora II"
    wrong = owner.ask("PATCH", "/settings", {"timezone": "Mars/Base"})
    assert wrong.get_json()["errors"][0]["where"] == "/timezone"
    rates = [{"countries": ["DE"], "most_tickets": 10, "price_minor": 390}]
    assert owner.ask("PUT", "/settings/postage", {"data": rates}).get_json()["data"] == rates
    assert owner.get("/settings/postage")["data"] == rates
    bad = owner.ask("PUT", "/settings/warehouse", {"url": "http://127.0.0.1/"})
    assert bad.status_code == 422
    url = "https://93.184.215.14/orders"
    assert owner.ask("PUT", "/settings/warehouse", {"url": url}).get_json()["url"] == url
    with house.database.tenant_session(house.tenant.id, read_only=True) as session:
        actions = set(session.scalars(select(AuditEntry.action)))
    assert actions >= {"tenant.changed", "tenant.postage_changed", "tenant.warehouse_changed"}


def test_selections_are_kept_and_files_come_regularly(owner: Program) -> None:
    kept = made(owner, "/export-presets", {"name": "Badges", "format": "csv"})
    assert [each["name"] for each in owner.get("/export-presets")["data"]] == ["Badges"]
    assert owner.ask("DELETE", f"/export-presets/{kept['uid']}").status_code == 204
    event = made(owner, "/events", EVENT)
    plan = {"name": "Each morning", "repeat": "daily", "time_of_day": "07:30", "format": "csv"}
    schedule = made(owner, f"/events/{event['uid']}/export-schedules", plan)
    path = f"/export-schedules/{schedule['uid']}"
    assert owner.post(f"{path}/pause").get_json()["next_at"] is None
    assert owner.post(f"{path}/resume").get_json()["next_at"] is not None
    changed = owner.ask("PUT", path, {**plan, "repeat": "weekly", "weekday": 4}).get_json()
    assert (changed["repeat"], changed["weekday"]) == ("weekly", 4)
    assert owner.post(f"{path}/run").get_json()["state"] == "queued"
    assert owner.ask("DELETE", path).status_code == 204
    assert owner.get("/export-schedules")["data"] == []


def test_mails_are_decided_withdrawn_and_sent_once_more(house: House, owner: Program) -> None:
    with house.database.tenant_session(house.tenant.id) as session:
        mails = [
            Mail(
                kind="refund_made", to_addr="a@x.example", to_norm="a@x.example", status=status,
                dedupe_key=f"mail-{status}", subject="x", body_text="x", body_html="x",
                from_addr="Aurora <a@example.org>", template_key="refund_made",
            )
            for status in ("uncertain", "queued", "sent")
        ]  # fmt: skip
        session.add_all(mails)
        session.commit()
        uncertain, queued, sent = (mail.uid for mail in mails)
    said = {"decision": "sent", "reason": "it is in their mailbox"}
    assert owner.post(f"/mails/{uncertain}/decision", said).get_json()["status"] == "sent"
    assert owner.post(f"/mails/{uncertain}/decision", said).status_code == 409
    assert owner.post(f"/mails/{queued}/cancel").get_json()["status"] == "cancelled"
    copy = owner.post(f"/mails/{sent}/resend")
    assert copy.status_code == 202
    assert copy.get_json()["uid"] != sent
