"""The audit log's filters and its file."""

import csv
import io

from meet2be.audit.services import Actor, record
from support.house import House
from support.web import Person


def write(house: House, *actions: str, reason: str = "") -> None:
    assert house.admin.user is not None
    actor = Actor("user", str(house.admin.user.id), ip="192.0.2.7", user_agent="a browser")
    with house.database.tenant_session(house.tenant.id) as session:
        for action in actions:
            record(session, actor, action, "event", "some-event", reason=reason)
        session.commit()


def rows(house: House, query: str = "", by: Person | None = None) -> list[dict[str, str]]:
    answer = (by or house.owner).get(f"/audit.csv{query}")
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.get_data(as_text=True).removeprefix("\ufeff"))))


def test_entries_are_found_by_person_action_and_day(house: House) -> None:
    write(house, "event.renamed")
    house.clock.advance(3 * 86_400)
    write(house, "event.moved")
    reader = house.web.person(house.tenant, "owner")
    assert house.admin.user is not None
    assert house.owner.user is not None
    day = house.clock.now().date().isoformat()
    found = {each["action"] for each in rows(house, "?action=event.", reader)}
    assert found == {"event.renamed", "event.moved"}
    assert [each["action"] for each in rows(house, f"?action=event.&from={day}", reader)] == [
        "event.moved"
    ]
    assert not rows(house, f"?action=event.&person={house.owner.user.id}", reader)
    assert len(rows(house, f"?action=event.&person={house.admin.user.id}", reader)) == 2
    page = reader.page(f"/audit?person={house.admin.user.id}&from={day}&to={day}")
    assert "event.moved" in page
    assert "event.renamed" not in page
    assert reader.get("/audit?from=never&to=&person=x").status_code == 200


def test_the_file_holds_who_from_where_and_no_formula(house: House) -> None:
    write(house, "event.renamed", reason="=HYPERLINK(1)")
    found = rows(house, "?action=event.")[0]
    assert found["reason"] == "'=HYPERLINK(1)"
    assert (found["actor_name"], found["ip"]) == ("Ada Admin", "192.0.2.7")
    assert "audit.exported" in house.owner.page("/audit")
