"""What an organisation may not have more of, in a sentence for whoever wants it."""

from support.factories import make_event
from support.house import House

EVENT = {
    "title": "Summit", "timezone": "Europe/Berlin", "currency": "EUR",
    "starts_at": "2027-06-10T09:00", "ends_at": "2027-06-11T18:00",
}  # fmt: skip


def test_one_event_too_many_is_refused_in_words_and_archived_ones_do_not_count(
    house: House,
) -> None:
    make_event(house.database, house.tenant, status="archived")
    operator = house.web.operator()
    operator.post(f"/operator/tenants/{house.tenant.uid}/limits", events="1")
    assert house.admin.post("/events/new", **EVENT).status_code == 303
    answer = house.admin.post("/events/new", **{**EVENT, "title": "Second"})
    assert answer.status_code == 422
    assert "limit is reached (Events: 1). Ask the platform" in answer.text
    assert 'value="Second"' in answer.text
    assert "Second" not in house.admin.page("/events")
