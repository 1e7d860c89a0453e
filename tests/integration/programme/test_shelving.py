"""Events off their page, and in the archive: what can still be done, and what cannot."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from meet2be.audit.models import AuditEntry
from meet2be.checkout.steps import why_unwanted
from meet2be.events.models import Event
from meet2be.exports.models import ExportSchedule
from meet2be.exports.schedules import run_due
from meet2be.orders.models import Order
from meet2be.tenancy.limits import set_limits
from meet2be.tenancy.models import Tenant
from meet2be.webhooks.models import WebhookEvent
from support.api import Program, program
from support.factories import Ticket, make_event, make_order
from support.hooks import make_endpoint
from support.house import House

KIND = {"name": "Regular", "price_minor": 11_900, "quota": 5}
BUYER = {"name": "Bea Buyer", "email": "bea@example.org"}


@pytest.fixture
def owner(house: House) -> Program:
    return program(house.web, house.tenant, "owner")


def on_sale(house: House, owner: Program, days: int = 30, **fields: object) -> tuple[Event, str]:
    """Return an event that ends in so many days, and the uid of its kind of tickets."""
    ends_at = house.clock.now() + timedelta(days=days)
    times = {"starts_at": ends_at - timedelta(days=1), "ends_at": ends_at}
    event = make_event(house.database, house.tenant, **{**times, **fields})
    answer = owner.post(f"/events/{event.uid}/ticket-types", KIND)
    assert answer.status_code == (201 if fields.get("status") != "cancelled" else 409)
    return event, answer.get_json().get("uid", "")


def order(owner: Program, event: Event, kind: str) -> Any:
    wish = {**BUYER, "tickets": [{"ticket_type": kind, "holders": [{"name": "A"}]}]}
    return owner.post(f"/events/{event.uid}/orders", wish)


def said(owner: Program, event: Event, verb: str) -> str:
    """Return what the API says to a verb that is refused."""
    answer = owner.post(f"/events/{event.uid}/{verb}")
    assert answer.status_code == 409, answer.text
    return str(answer.get_json()["detail"])


def of_row(house: House, kind: Any, uid: str, asked: Callable[[Any], Any]) -> Any:
    """Return what is asked of a row."""
    with house.database.tenant_session(house.tenant.id, read_only=True) as session:
        return asked(session.scalars(select(kind).where(kind.uid == uid)).one())


def test_off_its_page_an_event_sells_nothing_and_keeps_what_it_promised(
    house: House, owner: Program
) -> None:
    make_endpoint(house.database, house.tenant.id)
    event, kind = on_sale(house, owner)
    page = f"/t/{house.tenant.slug}/{event.slug}"
    placed = order(owner, event, kind).get_json()
    assert house.web.anybody().get(page).status_code == 200
    told = owner.post(f"/events/{event.uid}/unpublish").get_json()
    assert (told["status"], told["unpublished_at"] is None) == ("draft", False)
    closed = house.web.anybody().get(page)
    assert (closed.status_code, "has taken this event off its page" in closed.text) == (404, True)
    assert order(owner, event, kind).status_code == 409
    buyers = "/t/" + placed["buyer_page"].partition("/t/")[2]
    assert house.web.anybody().get(buyers).status_code == 200
    now = house.clock.now()
    with house.database.tenant_session(house.tenant.id, read_only=True) as session:
        row = session.scalars(select(Event)).one()
        held = session.scalars(select(Order)).one()
        assert why_unwanted(held, row, now) is None, "what was set aside can be paid"
        assert why_unwanted(held, row, now + timedelta(days=1)) == "expired"
    change = owner.ask("PATCH", f"/events/{event.uid}", {"slug": "other"})
    assert (change.status_code, "links to it stay" in change.text) == (422, True)
    assert "Only an event that is published" in said(owner, event, "unpublish")
    again = owner.post(f"/events/{event.uid}/publish").get_json()
    assert (again["status"], again["unpublished_at"]) == ("live", None)
    assert house.web.anybody().get(page).status_code == 200
    with house.database.tenant_session(house.tenant.id, read_only=True) as session:
        types = session.scalars(select(WebhookEvent.type)).all()
    assert [each for each in types if "publish" in each] == ["event.unpublished", "event.published"]


def test_the_archive_takes_what_is_settled_only(house: House, owner: Program) -> None:
    event, kind = on_sale(house, owner)
    assert "is on sale" in said(owner, event, "archive")
    assert "not in the archive" in said(owner, event, "restore")
    placed = order(owner, event, kind).get_json()["uid"]
    owner.post(f"/events/{event.uid}/unpublish")
    assert "order of this event is still open" in said(owner, event, "archive")
    with house.database.tenant_session(house.tenant.id) as session:
        session.execute(
            update(Order).values(status="expired").where(Order.uid == placed)
            .execution_options(synchronize_session=False)
        )  # fmt: skip
        session.commit()
    make_order(house.database, event, [Ticket()])
    assert "Somebody has a ticket" in said(owner, event, "archive")
    half, _kind = on_sale(house, owner)
    with house.database.tenant_session(house.tenant.id) as session:
        session.execute(
            update(Event).values(status="cancelling").where(Event.uid == half.uid)
            .execution_options(synchronize_session=False)
        )  # fmt: skip
        session.commit()
    assert "being cancelled" in said(owner, half, "archive")


def test_in_the_archive_nothing_changes_and_lists_can_be_had(house: House, owner: Program) -> None:
    event, kind = on_sale(house, owner, days=-2)
    path = f"/events/{event.uid}"
    told = owner.post(f"{path}/archive").get_json()
    assert (told["status"], told["archived_at"] is None) == ("archived", False)
    assert "in the archive already" in said(owner, event, "archive")
    for answer in (
        owner.ask("PATCH", path, {"title": "x"}),
        owner.post(f"{path}/ticket-types", {**KIND, "name": "x"}),
        owner.ask("PATCH", f"/ticket-types/{kind}", {"quota": 9}),
        owner.post(f"{path}/publish"),
        owner.post(f"{path}/unpublish"),
        owner.post(f"{path}/cancellations", {}),
        order(owner, event, kind),
    ):
        assert answer.status_code == 409, answer.text
    assert owner.post(f"{path}/exports", {"format": "csv"}).status_code == 202
    assert owner.all_of("/events") == []
    assert [each["uid"] for each in owner.all_of("/events", archived="true")] == [event.uid]
    assert owner.get(path)["archived_at"]
    with house.database.tenant_session(house.tenant.id) as session:
        set_limits(session.scalars(select(Tenant)).one(), {"events": 1})
        session.commit()
    other, _kind = on_sale(house, owner, status="cancelled")
    assert "limit is reached" in said(owner, event, "restore")
    assert owner.post(f"/events/{other.uid}/archive").status_code == 200
    assert owner.post(f"{path}/restore").get_json()["status"] == "live"
    assert of_row(house, Event, event.uid, lambda row: (row.archived_from, row.archived_at)) == (
        None, None,
    )  # fmt: skip
    assert owner.post(f"{path}/archive").status_code == 200
    assert owner.post(f"/events/{other.uid}/restore").get_json()["status"] == "cancelled"


def test_organisers_do_it_on_the_events_page_and_viewers_do_not(
    house: House, owner: Program
) -> None:
    event, _kind = on_sale(house, owner, days=-2)
    page = f"/events/{event.uid}"
    organiser, viewer = (house.web.person(house.tenant, role) for role in ("organiser", "viewer"))
    assert "Archive the event" not in viewer.page(page)
    assert viewer.post(f"{page}/archive").status_code == 403
    assert "Archive" not in organiser.page("/events")
    assert "Unpublish" in organiser.page(page)
    assert organiser.post(f"{page}/archive").status_code == 303
    shown = organiser.page(page)
    assert "is in the archive" in shown and "Take out of the archive" in shown
    assert event.title not in organiser.page("/events")
    assert event.title in organiser.page("/events?archived=yes")
    assert organiser.post(f"{page}/unpublish").status_code == 303
    assert "Only an event that is published" in organiser.page(page)
    assert organiser.post(f"{page}/restore").status_code == 303
    assert "The archive is empty" in organiser.page("/events?archived=yes")
    assert organiser.post(f"/events/{'0' * 26}/archive").status_code == 404


def test_regular_exports_rest_with_their_event_and_go_on_with_it(
    house: House, owner: Program
) -> None:
    event = make_event(house.database, house.tenant, status="cancelled")
    wish = {"format": "csv", "columns": ["name"], "repeat": "daily", "time_of_day": "07:30"}

    def planned(name: str) -> str:
        answer = owner.post(f"/events/{event.uid}/export-schedules", {**wish, "name": name})
        assert answer.status_code == 201, answer.text
        return str(answer.get_json()["uid"])

    on, off = planned("Daily"), planned("Paused")
    assert owner.post(f"/export-schedules/{off}/pause").status_code == 200

    def states() -> list[tuple[bool, bool]]:
        kind = ExportSchedule
        return [
            of_row(house, kind, uid, lambda row: (row.enabled, row.next_at is not None))
            for uid in (on, off)
        ]

    assert states() == [(True, True), (False, False)]
    assert owner.post(f"/events/{event.uid}/archive").status_code == 200
    assert states() == [(False, False)] * 2
    page = house.owner.page("/exports/schedules")
    assert page.count("The event is in the archive.") == 2
    assert page.count("It goes on once the event is taken out.") == 1
    assert ">Resume<" not in page
    house.clock.advance(3 * 86_400)
    assert run_due(house.database, house.clock) == 0
    refused = owner.post(f"/export-schedules/{off}/resume")
    assert (refused.status_code, "in the archive" in refused.text) == (409, True)
    another = owner.post(f"/events/{event.uid}/export-schedules", {**wish, "name": "New"})
    assert another.status_code == 409

    assert owner.post(f"/events/{event.uid}/restore").status_code == 200
    assert states() == [(True, True), (False, False)]
    assert run_due(house.database, house.clock) == 0, "what was missed in the archive is not made"
    with house.database.tenant_session(house.tenant.id, read_only=True) as session:
        said = session.scalars(
            select(AuditEntry.action)
            .where(AuditEntry.object_type == "export_schedule", AuditEntry.object_id == on)
            .order_by(AuditEntry.id)
        )
        assert [each.removeprefix("export_schedule.") for each in said] == [
            "created", "paused", "resumed",
        ]  # fmt: skip
